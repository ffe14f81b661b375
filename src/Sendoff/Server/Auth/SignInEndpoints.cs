using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Ui.Pages;

namespace Sendoff.Server.Auth;

/// <summary>The sign-in link, the sign-in page, and the way out.</summary>
internal static class SignInEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/signin", (HttpContext context, AdminToken token, SignInLinks links, ServerOptions options, string? link, string? next) =>
        {
            context.Response.Headers.CacheControl = "no-store";
            if (link is null) return Page(next, null);
            return links.Use(link) ? SignIn(context, token, options, next) : Page(next, "This sign-in link was used already, or is older than a day. `sendoff tokens sign-in` prints a new one.");
        }).ExcludeFromDescription();
        routes.MapPost("/signin", async (HttpContext context, AdminToken token, ServerOptions options) =>
        {
            if (!context.Request.HasFormContentType) return Page(null, WrongToken);
            var form = await context.Request.ReadFormAsync(context.RequestAborted);
            return token.Matches(form["token"].ToString().Trim()) ? SignIn(context, token, options, form["next"]) : Page(form["next"], WrongToken);
        }).ExcludeFromDescription();
        routes.MapPost("/signout", (HttpContext context, ServerOptions options) =>
        {
            AdminSession.SignOut(context, options);
            return Results.LocalRedirect("/signin");
        }).ExcludeFromDescription();
    }

    const string WrongToken = "That is not this server’s token.";

    static IResult SignIn(HttpContext context, AdminToken token, ServerOptions options, string? next)
    {
        AdminSession.SignIn(context, token, options);
        string target = IsLocal(next) ? next! : "/";
        // A strict cookie is not sent along a redirect that another site began; a page of our own begins anew.
        if (context.Request.Headers["Sec-Fetch-Site"] != "cross-site") return Results.LocalRedirect(target);
        string url = HtmlEncoder.Default.Encode(target);
        string page = $"<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={url}\"><a href=\"{url}\">Signed in</a>";
        return Results.Content(page, "text/html; charset=utf-8");
    }

    static RazorComponentResult<SignInPage> Page(string? next, string? mistake) =>
        new(new Dictionary<string, object?> { ["Next"] = IsLocal(next) ? next : null, ["Mistake"] = mistake })
        {
            StatusCode = mistake is not null ? StatusCodes.Status401Unauthorized : StatusCodes.Status200OK,
        };

    static bool IsLocal(string? path) => path is ['/', ..] && path is not ['/', '/' or '\\', ..] && !path.Any(char.IsControl);
}
