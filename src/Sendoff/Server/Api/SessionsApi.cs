using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Storage;
using Sendoff.Server.Auth;

namespace Sendoff.Server.Api;

/// <summary>A signed-in browser.</summary>
/// <param name="Client">The <c>user-agent</c> of the browser.</param>
/// <param name="IsCurrent">Whether it is the session of this request.</param>
public sealed record SessionDocument(string Id, string Client, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, bool IsCurrent)
{
    internal static SessionDocument From(StoredSession session, SessionId? current) =>
        new(session.Id.ToString(), session.Client, session.CreatedAt, session.ExpiresAt, session.Id == current);
}

/// <summary><c>/api/v1/sessions</c>, for admins.</summary>
internal static class SessionsApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var sessions = api.MapGroup("/sessions").WithTags("Sessions").RequireAuthorization(AccessPolicy.Admin);
        sessions.MapGet("/", ListAsync).WithName("listSessions").WithSummary("Signed-in browsers, oldest first");
        sessions.MapDelete("/", EndAllAsync).WithName("endSessions").WithSummary("Sign out all browsers");
        sessions
            .MapDelete("/{id}", EndAsync)
            .WithName("endSession")
            .WithSummary("Sign out a browser: its cookie is refused and its open pages are disconnected");
    }

    static async Task<Results<Ok<ListDocument<SessionDocument>>, Problem>> ListAsync(
        HttpContext context,
        Sessions sessions,
        CancellationToken ct
    )
    {
        if (ApiInput.Of(context.Request).Problem is { } problem)
            return problem;
        var current = context.Features.Get<Session>()?.Stored.Id;
        return TypedResults.Ok(
            new ListDocument<SessionDocument>(
                [.. (await sessions.ListAsync(ct)).Select(session => SessionDocument.From(session, current))],
                null
            )
        );
    }

    static async Task<NoContent> EndAllAsync(HttpContext context, Sessions sessions, CancellationToken ct)
    {
        CredentialUse.Outlive(context);
        foreach (var session in await sessions.ListAsync(ct))
            await sessions.EndAsync(session.Id, CancellationToken.None);
        return TypedResults.NoContent();
    }

    static async Task<Results<NoContent, Problem>> EndAsync(string id, HttpContext context, Sessions sessions)
    {
        CredentialUse.Outlive(context);
        return SessionId.TryParse(id, out var session) && await sessions.EndAsync(session, CancellationToken.None)
            ? TypedResults.NoContent()
            : Problem.NotFound($"There is no session '{id}'. It may have ended already.");
    }
}
