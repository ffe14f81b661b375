namespace Sendoff.Server;

/// <summary>Marks connections of listeners that serve only triggers (setting <c>Hooks:Listen</c>).</summary>
internal sealed class HooksConnection
{
    public static readonly HooksConnection Mark = new();
}

/// <summary>Decides which part of the server a request can reach: workflows (triggers, resume and cancel URLs, streams), or pages and API.
/// Both have the same origin unless <c>Hooks:Listen</c> or <c>Hooks:PublicUrl</c> gives workflows a separate one.</summary>
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
