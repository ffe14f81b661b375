using System.Text;

namespace Sendoff.Commands.Hostile;

sealed record HostileGroup(string Title, IReadOnlyList<HostileBehaviour> Behaviours);

/// <summary>All misbehaviours of receivers.</summary>
static partial class HostileBehaviours
{
    const string Json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    const string Text = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
    const string Chunks = Text + "transfer-encoding: chunked\r\n\r\n";
    const string LargeHead = "HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n";

    public static IReadOnlyList<HostileGroup> Groups { get; } =
    [
        new("Time", Times),
        new("Size", Sizes),
        new("Framing", Framings),
        new("Connections", Connections),
        new("Not HTTP/1.1", Protocols),
        new("TLS", Sessions),
        new("Redirects and cookies", Redirects),
        new("Text", Texts),
    ];

    public static IReadOnlyList<HostileBehaviour> All { get; } = [.. Groups.SelectMany(group => group.Behaviours)];

    static Func<HostileExchange, Task> Respond(string response) => exchange => exchange.RespondAsync(response);

    /// <param name="body">Called for the first request.</param>
    static Func<HostileExchange, Task> Respond(string head, Func<byte[]> body) =>
        exchange =>
            exchange.RespondAsync((byte[])[.. Encoding.Latin1.GetBytes($"{head}content-length: {body().Length}\r\n\r\n"), .. body()]);

    static Func<HostileExchange, Task> RespondAndClose(string response) => exchange => exchange.RespondAndCloseAsync(response);

    static Func<HostileExchange, Task> RespondAndReset(string response) => exchange => exchange.RespondAndResetAsync(response);

    /// <summary>The first exchange is normal, so that the behaviour applies to a kept-alive connection.</summary>
    static Func<HostileExchange, Task> Later(Func<HostileExchange, Task> script) =>
        exchange => exchange.Number == 1 ? exchange.RespondOrdinarilyAsync() : script(exchange);
}
