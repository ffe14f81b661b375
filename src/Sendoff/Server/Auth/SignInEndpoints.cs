using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Ui.Pages;

namespace Sendoff.Server.Auth;

/// <summary>The sign-in link, the sign-in page, and the way out.</summary>
internal static class SignInEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/signin", (HttpContext context, AdminToken token, ServerOptions options, string? next) =>
        {
            context.Response.Headers.CacheControl = "no-store";
            string? given = context.Request.Query["token"];
            return given is null ? Page(next, failed: false) : SignIn(context, token, options, given, next);
        }).ExcludeFromDescription();
        routes.MapPost("/signin", async (HttpContext context, AdminToken token, ServerOptions options) =>
        {
            if (!context.Request.HasFormContentType) return Page(null, failed: true);
            var form = await context.Request.ReadFormAsync(context.RequestAborted);
            return SignIn(context, token, options, form["token"].ToString().Trim(), form["next"]);
        }).ExcludeFromDescription();
        routes.MapPost("/signout", (HttpContext context, ServerOptions options) =>
        {
            AdminSession.SignOut(context, options);
            return Results.LocalRedirect("/signin");
        }).ExcludeFromDescription();
    }

    static IResult SignIn(HttpContext context, AdminToken token, ServerOptions options, string given, string? next)
    {
        if (!token.Matches(given)) return Page(next, failed: true);
        AdminSession.SignIn(context, token, options);
        string target = IsLocal(next) ? next! : "/";
        // A strict cookie is not sent along a redirect that another site began; a page of our own begins anew.
        if (context.Request.Headers["Sec-Fetch-Site"] != "cross-site") return Results.LocalRedirect(target);
        string url = HtmlEncoder.Default.Encode(target);
        string page = $"<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={url}\"><a href=\"{url}\">Signed in</a>";
        return Results.Content(page, "text/html; charset=utf-8");
    }

    static RazorComponentResult<SignInPage> Page(string? next, bool failed) =>
        new(new Dictionary<string, object?> { ["Next"] = IsLocal(next) ? next : null, ["Failed"] = failed })
        {
            StatusCode = failed ? StatusCodes.Status401Unauthorized : StatusCodes.Status200OK,
        };

    static bool IsLocal(string? path) => path is ['/', ..] && path is not ['/', '/' or '\\', ..] && !path.Any(char.IsControl);
}
