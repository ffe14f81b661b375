using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Ui.Pages;

namespace Sendoff.Server.Auth;

/// <summary>The sign-in link, the sign-in page, and the sign-out.</summary>
internal static class SignInEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes
            .MapGet(
                "/signin",
                async (HttpContext context, SignInLinks links, Sessions sessions, ServerOptions options, string? link, string? next) =>
                {
                    context.Response.Headers.CacheControl = "no-store";
                    if (link is null)
                        return Page(next, null);
                    return links.Use(link) ? await SignInAsync(context, sessions, options, next) : Page(next, UsedLink);
                }
            )
            .AllowAnonymous()
            .ExcludeFromDescription();
        routes
            .MapPost(
                "/signin",
                async (HttpContext context, AdminToken token, Sessions sessions, ServerOptions options) =>
                {
                    if (!context.Request.HasFormContentType)
                        return Page(null, WrongToken);
                    var form = await context.Request.ReadFormAsync(context.RequestAborted);
                    return token.Matches(form["token"].ToString().Trim())
                        ? await SignInAsync(context, sessions, options, form["next"])
                        : Page(form["next"], WrongToken);
                }
            )
            .AllowAnonymous()
            .ExcludeFromDescription();
        routes
            .MapPost(
                "/signout",
                async (HttpContext context, Sessions sessions, ServerOptions options) =>
                {
                    if (context.Features.Get<Session>() is { } session)
                    {
                        CredentialUse.Outlive(context);
                        await sessions.EndAsync(session.Stored.Id, CancellationToken.None);
                    }
                    SessionCookie.Delete(context, options);
                    return Results.LocalRedirect("/signin");
                }
            )
            .ExcludeFromDescription();
    }

    const string UsedLink = "This sign-in link was already used, or is older than a day. `sendoff tokens sign-in` prints a new one.";
    const string WrongToken = "This is not the token of this server.";

    static async Task<IResult> SignInAsync(HttpContext context, Sessions sessions, ServerOptions options, string? next)
    {
        // A new sign-in replaces this browser's session.
        if (await sessions.FindAsync(SessionCookie.ValueOf(context.Request), context.RequestAborted) is { } before)
            await sessions.EndAsync(before.Stored.Id, CancellationToken.None);
        SessionCookie.Append(
            context,
            await sessions.BeginAsync(context.Request.Headers.UserAgent.ToString(), context.RequestAborted),
            options
        );
        string target = IsLocal(next) ? next! : "/";
        // Browsers do not send a strict cookie after a redirect from another site. A page of this server that reloads sends it.
        if (context.Request.Headers["Sec-Fetch-Site"] != "cross-site")
            return Results.LocalRedirect(target);
        string url = HtmlEncoder.Default.Encode(target);
        string page = $"<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={url}\"><a href=\"{url}\">Signed in</a>";
        return Results.Content(page, "text/html; charset=utf-8");
    }

    static IResult Page(string? next, string? mistake) =>
        new RazorComponentResult<SignInPage>(
            new Dictionary<string, object?> { ["Next"] = IsLocal(next) ? next : null, ["Mistake"] = mistake }
        )
        {
            StatusCode = mistake is not null ? StatusCodes.Status401Unauthorized : StatusCodes.Status200OK,
        };

    static bool IsLocal(string? path) => path is ['/', ..] && path is not ['/', '/' or '\\', ..] && !path.Any(char.IsControl);
}
