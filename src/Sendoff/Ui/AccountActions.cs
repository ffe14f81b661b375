using System.Globalization;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Accounts;
using Sendoff.Server;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Sendoff.Ui.Pages;

namespace Sendoff.Ui;

/// <summary>The content of an account's form.</summary>
/// <param name="Edited">The account to change; null for a new one.</param>
/// <param name="Provider">Null if the app is not a known provider.</param>
public sealed record AccountForm(AccountFields Typed, AccountKind Kind, Account? Edited, Provider? Provider);

/// <summary>The page of accounts, the actions of its buttons, and the sign-in at a provider.</summary>
internal static class AccountActions
{
    /// <summary>The target of the callback: a page of this origin, so that the browser sends its session.</summary>
    const string ConnectedPath = "/accounts/connected";

    public static void Map(WebApplication app)
    {
        app.MapGet(AccountsApi.CallbackPath, Callback).AllowAnonymous().ExcludeFromDescription();
        var accounts = app.MapGroup("/accounts").RequireAuthorization(AccessPolicy.Admin).ExcludeFromDescription();
        accounts.MapGet("", (string? edit, string? app, string? kind, AccountCatalog catalog) => Page(FormOf(edit, app, kind, catalog)));
        accounts.MapPost("", CreateAsync);
        accounts.MapPost("/{id}", ChangeAsync);
        accounts.MapPost("/{id}/delete", DeleteAsync);
        accounts.MapPost("/{id}/refresh", RefreshAsync);
        accounts.MapGet("/{id}/connect", Connect);
        accounts.MapGet("/connected", ConnectedAsync);
    }

    static AccountForm? FormOf(string? edit, string? app, string? kind, AccountCatalog catalog)
    {
        if (Find(edit, catalog) is { } account)
            return new(new(), account.Kind, account, Providers.Find(account.App));
        if (string.IsNullOrWhiteSpace(app))
            return null;
        string slug = app.Trim().ToLowerInvariant();
        var provider = Providers.Find(slug);
        var chosen =
            Names.TryParse(kind ?? "", out AccountKind given) ? given
            : provider is { TokenUrl: not null } ? AccountKind.AuthorizationCode
            : AccountKind.Keys;
        return new(new(App: slug), chosen, null, provider);
    }

    static Task<IResult> CreateAsync(
        HttpRequest request,
        AccountCatalog accounts,
        AccountTokens tokens,
        TimeProvider time,
        CancellationToken ct
    ) => SaveAsync(null, request, accounts, tokens, time, ct);

    static async Task<IResult> ChangeAsync(
        string id,
        HttpRequest request,
        AccountCatalog accounts,
        AccountTokens tokens,
        TimeProvider time,
        CancellationToken ct
    ) => Find(id, accounts) is { } before ? await SaveAsync(before, request, accounts, tokens, time, ct) : Gone();

    static async Task<IResult> SaveAsync(
        Account? before,
        HttpRequest request,
        AccountCatalog accounts,
        AccountTokens tokens,
        TimeProvider time,
        CancellationToken ct
    )
    {
        var input = new ApiInput();
        var typed = FieldsOf(await UiEndpoints.FormAsync(request, ct), input);
        if (input.Problem is null && await typed.SaveAsync(input, before, accounts, tokens, time, ct) is { } saved)
            return Results.LocalRedirect($"/accounts?edit={saved.Id}");
        var kind = before?.Kind ?? (Names.TryParse(typed.Kind ?? "", out AccountKind given) ? given : AccountKind.Keys);
        return Page(new(typed, kind, before, Providers.Find(before?.App ?? typed.App ?? "")), input.Problem!.Detail);
    }

    static async Task<IResult> DeleteAsync(string id, AccountCatalog accounts, CancellationToken ct) =>
        AccountId.TryParse(id, out var account) && await accounts.RemoveAsync(account, ct) ? Results.LocalRedirect("/accounts") : Gone();

    static async Task<IResult> RefreshAsync(string id, AccountCatalog accounts, AccountTokens tokens)
    {
        if (Find(id, accounts) is not { } account)
            return Gone();
        await tokens.RefreshAsync(account.Id);
        return Results.LocalRedirect($"/accounts?edit={account.Id}");
    }

    /// <summary>Redirects to the provider. A link, because browsers restrict redirects of a form to the page's own origin.</summary>
    static IResult Connect(string id, HttpContext context, AccountCatalog accounts, Authorizations authorizations, ServerOptions options)
    {
        if (Find(id, accounts) is not { Kind: AccountKind.AuthorizationCode } account)
            return Gone();
        string origin = Origin.Of(context.Request, options);
        if (options.PublicUrl is not null && !IsSameOrigin(origin, context.Request))
            return Page(
                FormOf(id, null, null, accounts),
                $"The provider redirects the browser to {origin}. Open this page at that address, and connect the account again."
            );
        context.Response.Headers.CacheControl = "no-store";
        return Results.Redirect(authorizations.Begin(account, origin + AccountsApi.CallbackPath, BrowserOf(context)).Url.AbsoluteUri);
    }

    // Behind a proxy, the server sees its own scheme instead of the browser's.
    static bool IsSameOrigin(string origin, HttpRequest request) =>
        new Uri(origin).Authority.Equals(
            new Uri($"{new Uri(origin).Scheme}://{request.Host}").Authority,
            StringComparison.OrdinalIgnoreCase
        );

    /// <summary>Browsers do not send a strict cookie after a redirect from another site. A page of this server that reloads sends
    /// it.</summary>
    static IResult Callback(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        string url = HtmlEncoder.Default.Encode(ConnectedPath + context.Request.QueryString);
        string page = $"<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={url}\"><a href=\"{url}\">Continue</a>";
        return Results.Content(page, "text/html; charset=utf-8");
    }

    static async Task<IResult> ConnectedAsync(
        HttpContext context,
        AccountCatalog accounts,
        Authorizations authorizations,
        string? state,
        string? code,
        string? error,
        string? error_description
    )
    {
        context.Response.Headers.CacheControl = "no-store";
        string? words =
            error is null ? null
            : string.IsNullOrEmpty(error_description) ? error
            : $"{error}: {error_description}";
        var connected = await authorizations.EndAsync(state, error is null ? code : null, words, BrowserOf(context));
        return connected.Account is { } account ? Results.LocalRedirect($"/accounts?edit={account.Id}") : Page(null, connected.Fault);
    }

    /// <summary>The session to which a sign-in is bound (I2). For a caller with a token, the token identifies the browser.</summary>
    static string BrowserOf(HttpContext context) =>
        context.Features.Get<Session>()?.Stored.Id.ToString() ?? context.User.Identity?.Name ?? "";

    static Account? Find(string? id, AccountCatalog accounts) => AccountId.TryParse(id, out var account) ? accounts.Find(account) : null;

    static IResult Gone() => Page(null, "This account does not exist. It may have been deleted.");

    static AccountFields FieldsOf(IFormCollection form, ApiInput input) =>
        new(
            Text(form, "id"),
            Text(form, "app"),
            Text(form, "name"),
            Text(form, "kind"),
            Values(input, form, "fields", "field."),
            Values(input, form, "plainFields", null),
            Text(form, "clientId"),
            Text(form, "clientSecret"),
            Text(form, "authorizeUrl"),
            Text(form, "tokenUrl"),
            form.ContainsKey("scope") ? form["scope"].ToString().Trim() : null,
            Text(form, "authentication"),
            Values(input, form, "authorizeParameters", null),
            Number(input, form["lifetimeSeconds"].ToString())
        );

    static string? Text(IFormCollection form, string name) => form[name].ToString() is { Length: > 0 } text ? text : null;

    static long? Number(ApiInput input, string text)
    {
        if (text.Length == 0)
            return null;
        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number))
            return number;
        input.Wrong($"The token lifetime is '{text}'. Expected a number of seconds.");
        return null;
    }

    /// <summary>Parses lines of <c>name=value</c>; <c>name=</c> removes a value. Separate inputs, whose names begin with
    /// <paramref name="prefix"/>, are unchanged if they are empty.</summary>
    static Dictionary<string, string?>? Values(ApiInput input, IFormCollection form, string name, string? prefix)
    {
        var values = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (string line in form[name].ToString().Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int end = line.IndexOf('=');
            if (end <= 0)
                input.Wrong($"'{name}' has a line without a name and '='. Write each line as name=value.");
            else
                values[line[..end].Trim()] = end == line.Length - 1 ? null : line[(end + 1)..].Trim();
        }
        if (prefix is not null)
            foreach (var (key, value) in form.Where(one => one.Key.StartsWith(prefix, StringComparison.Ordinal)))
                if (value.ToString() is { Length: > 0 } given)
                    values[key[prefix.Length..]] = given;
        return values.Count == 0 ? null : values;
    }

    static IResult Page(AccountForm? form, string? mistake = null) =>
        new RazorComponentResult<AccountsPage>(new Dictionary<string, object?> { ["Form"] = form, ["Mistake"] = mistake })
        {
            StatusCode = mistake is null ? StatusCodes.Status200OK : StatusCodes.Status422UnprocessableEntity,
        };
}
