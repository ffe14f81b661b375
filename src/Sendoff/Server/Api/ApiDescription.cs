using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Sendoff.Server.Api;

/// <summary>The OpenAPI document at <c>/openapi/v1.json</c>, generated from the endpoints, with the security schemes.</summary>
internal static class ApiDescription
{
    public const string Name = "v1";
    const string Token = "token",
        Session = "session";

    public static void Configure(OpenApiOptions options)
    {
        options.AddDocumentTransformer(
            (document, _, _) =>
            {
                document.Info = new()
                {
                    Title = "Sendoff",
                    Version = Name,
                    License = new() { Name = "MIT", Identifier = "MIT" },
                    Description = "Lists return {items, nextCursor}. Errors are problem details (RFC 9457).",
                };
                // The URL from which the document was requested. A trailing slash would be doubled.
                foreach (var server in document.Servers ?? [])
                    server.Url = server.Url?.TrimEnd('/');
                document.Components ??= new();
                document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
                {
                    [Token] = new OpenApiSecurityScheme
                    {
                        Type = SecuritySchemeType.Http,
                        Scheme = "bearer",
                        Description = "The admin token, or a token created with `sendoff tokens create`.",
                    },
                    [Session] = new OpenApiSecurityScheme
                    {
                        Type = SecuritySchemeType.ApiKey,
                        In = ParameterLocation.Cookie,
                        Name = Auth.SessionCookie.Name,
                        Description = "The session of a signed-in browser. Changes must come from the server's own pages.",
                    },
                };
                document.Security = [NeededIn(document, Token), NeededIn(document, Session)];
                return Task.CompletedTask;
            }
        );
        options.AddOperationTransformer(
            (operation, context, _) =>
            {
                if (context.Description.ActionDescriptor.EndpointMetadata.OfType<IAllowAnonymous>().Any())
                    operation.Security = [];
                return Task.CompletedTask;
            }
        );
    }

    static OpenApiSecurityRequirement NeededIn(OpenApiDocument document, string scheme) =>
        new() { [new OpenApiSecuritySchemeReference(scheme, document)] = [] };
}
