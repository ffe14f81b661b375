namespace Sendoff.Server;

/// <summary>Marks the connections of listeners that serve triggers only (setting <c>Hooks:Listen</c>).</summary>
internal sealed class HooksConnection
{
    public static readonly HooksConnection Mark = new();
}

/// <summary>Which of its two sides the server shows a caller: workflows (triggers, resume and cancel addresses, streams), or pages and API.
/// Both are one origin unless <c>Hooks:Listen</c> gives workflows listeners of their own, or <c>Hooks:PublicUrl</c> a host name of their
/// own.</summary>
internal sealed class ServerSides(ServerOptions options)
{
    readonly bool isApart = options.HasHooksListener || options.HooksUrl is not null;

    public bool ServesHooks(HttpContext context) => !isApart || IsHooks(context);

    public bool ServesPages(HttpContext context) => !isApart || !IsHooks(context);

    bool IsHooks(HttpContext context) =>
        options.HasHooksListener
            ? context.Features.Get<HooksConnection>() is not null
            : context.Request.Host.Host.Equals(options.HooksUrl!.Host, StringComparison.OrdinalIgnoreCase);
}
