using Microsoft.OpenApi;

namespace Sendoff.Server.Api;

/// <summary>Describes a body that an endpoint reads itself. Accepts() would also refuse requests by content type, before the endpoint can
/// give a reason.</summary>
internal static class RequestBodies
{
    public static RouteHandlerBuilder TakesBody<T>(this RouteHandlerBuilder endpoint, params string[] otherTypes) =>
        endpoint.AddOpenApiOperationTransformer(
            async (operation, context, ct) =>
            {
                var schema = await context.GetOrCreateSchemaAsync(typeof(T), null, ct);
                var content = new Dictionary<string, OpenApiMediaType> { ["application/json"] = new() { Schema = schema } };
                foreach (string type in otherTypes)
                    content[type] = new() { Schema = new OpenApiSchema { Type = JsonSchemaType.String } };
                operation.RequestBody = new OpenApiRequestBody { Required = true, Content = content };
            }
        );
}
