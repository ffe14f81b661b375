using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Sendoff.Engine.Packages;

/// <summary>Why npm could not connect to a host through the proxy.</summary>
/// <param name="Code">The code as in Node.js; null if the host is not allowed.</param>
internal sealed record ProxyFault(string Authority, string? Code);

/// <summary>The only network access of the sandbox in which npm installs: an HTTP proxy on a Unix socket that connects only to the
/// registries.</summary>
/// <remarks>
/// (1) read the head of the request  (2) check whether its destination is allowed  (3) connect, through npm's proxy if it has one  (4) copy
/// bytes in both directions. The forwarded request names the checked destination in the proxy's own spelling, because another parser might
/// read a different host from the original spelling. </remarks>
internal sealed partial class RegistryProxy : IAsyncDisposable
{
    const int LongestHead = 64 * 1024,
        LongestName = 256,
        MostConnections = 256;
    static readonly TimeSpan headLimit = TimeSpan.FromSeconds(10);

    readonly NpmConfig config;
    readonly IReadOnlySet<string> allowed;
    readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly string folder = Directory.CreateTempSubdirectory("sendoff-npm-").FullName;
    readonly CancellationTokenSource stop = new();
    readonly SemaphoreSlim free = new(MostConnections);
    readonly Task accepting;
    ProxyFault? fault;

    /// <param name="hosts">Further hosts and ports.</param>
    public RegistryProxy(NpmConfig config, IEnumerable<string> hosts)
    {
        this.config = config;
        allowed = config.Registries.Concat(hosts).ToHashSet(StringComparer.OrdinalIgnoreCase);
        listener.Bind(new UnixDomainSocketEndPoint(Address));
        listener.Listen();
        accepting = AcceptAsync();
    }

    public string Address => Path.Combine(folder, "s");

    /// <summary>The last connection that failed; null if there is none.</summary>
    public ProxyFault? Fault => Volatile.Read(ref fault);

    async Task AcceptAsync()
    {
        var open = new List<Task>();
        try
        {
            while (true)
            {
                await free.WaitAsync(stop.Token).ConfigureAwait(false);
                var client = await listener.AcceptAsync(stop.Token).ConfigureAwait(false);
                open.RemoveAll(static task => task.IsCompleted);
                open.Add(ServeAsync(new NetworkStream(client, ownsSocket: true)));
            }
        }
        catch (Exception x) when (x is OperationCanceledException or SocketException)
        {
            // npm has ended.
        }
        await Task.WhenAll(open).ConfigureAwait(false);
    }

    async Task ServeAsync(NetworkStream client)
    {
        try
        {
            await using (client.ConfigureAwait(false))
                await ExchangeAsync(client, stop.Token).ConfigureAwait(false);
        }
        catch (Exception x)
            when (x
                    is IOException
                        or SocketException
                        or OperationCanceledException
                        or InvalidDataException
                        or System.Security.Authentication.AuthenticationException
            )
        {
            // npm reports the closed connection.
        }
        finally
        {
            free.Release();
        }
    }

    async Task ExchangeAsync(NetworkStream client, CancellationToken ct)
    {
        // (1)
        string[] lines = await ReadHeadAsync(client, ct).ConfigureAwait(false);
        string[] first = lines[0].Split(' ');
        bool tunnel = first[0] == "CONNECT";
        // (2)
        if (first.Length != 3)
            throw new InvalidDataException("the first line is not that of a request");
        if (
            !Uri.TryCreate(tunnel ? "https://" + first[1] : first[1], UriKind.Absolute, out var target)
            || !(tunnel || target.Scheme == Uri.UriSchemeHttp)
            || !allowed.Contains(NpmConfig.Authority(target))
        )
        {
            string named = target is null ? first[1] : NpmConfig.Authority(target);
            fault = new(named.Length > LongestName ? named[..LongestName] + "…" : named, null);
            await client
                .WriteAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray(), ct)
                .ConfigureAwait(false);
            return;
        }
        // (3)
        var proxy = config.ProxyFor(target.Host, tunnel);
        await using var server = await ConnectAsync(proxy ?? target, NpmConfig.Authority(target), proxy?.Scheme == Uri.UriSchemeHttps, ct)
            .ConfigureAwait(false);
        if (proxy is not null || !tunnel)
            await server.WriteAsync(Encoding.Latin1.GetBytes(Head(lines, first[0], target, tunnel, proxy)), ct).ConfigureAwait(false);
        // After a refused tunnel, further bytes would be sent to npm's proxy as requests.
        if (tunnel && !await OpenTunnelAsync(client, proxy is null ? null : server, ct).ConfigureAwait(false))
            return;
        // (4) A plain request is the only one on its connection, because a second one could be for another host.
        var up = client.CopyToAsync(server, ct);
        await server.CopyToAsync(client, ct).ConfigureAwait(false);
        client.Socket.Shutdown(SocketShutdown.Both);
        await up.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <param name="proxy">The proxy of npm's configuration, whose response is used; null for none.</param>
    static async Task<bool> OpenTunnelAsync(NetworkStream client, Stream? proxy, CancellationToken ct)
    {
        string[] answer = proxy is null ? ["HTTP/1.1 200 Connection established"] : await ReadHeadAsync(proxy, ct).ConfigureAwait(false);
        bool isOpen = answer[0].Split(' ') is [_, ['2', _, _], ..];
        string[] closing = isOpen ? [] : ["Content-Length: 0", "Connection: close"];
        await client.WriteAsync(Encoding.Latin1.GetBytes(string.Join("\r\n", [answer[0], .. closing, "", ""])), ct).ConfigureAwait(false);
        return isOpen;
    }

    static string Head(string[] lines, string method, Uri target, bool tunnel, Uri? proxy)
    {
        string[] ours = ["host", "connection", "keep-alive", "upgrade", "proxy-authorization", "proxy-connection"];
        var kept = tunnel ? [] : lines.Skip(1).Where(line => !ours.Any(name => Is(line, name)));
        string[] own = proxy is { UserInfo.Length: > 0 }
            ? [$"Proxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(Uri.UnescapeDataString(proxy.UserInfo)))}"]
            : [];
        string[] closing = tunnel ? [] : ["Connection: close"];
        string asked =
            tunnel ? NpmConfig.Authority(target)
            : proxy is null ? target.PathAndQuery
            : $"http://{NpmConfig.Authority(target)}{target.PathAndQuery}";
        return string.Join(
            "\r\n",
            [
                $"{method} {asked} HTTP/1.1",
                $"Host: {(tunnel ? NpmConfig.Authority(target) : target.Authority)}",
                .. kept,
                .. own,
                .. closing,
                "",
                "",
            ]
        );
    }

    static bool Is(string line, string name) => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase);

    static async Task<string[]> ReadHeadAsync(Stream client, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(headLimit);
        var head = new StringBuilder();
        var one = new byte[1];
        // Byte by byte, because the bytes after the head are not from the proxy.
        while (!(head.Length >= 4 && head[^1] == '\n' && head[^2] == '\r' && head[^3] == '\n'))
        {
            if (head.Length == LongestHead || await client.ReadAsync(one, limit.Token).ConfigureAwait(false) == 0)
                throw new InvalidDataException("not the head of a request");
            head.Append((char)one[0]);
        }
        string[] lines = head.ToString()[..^4].Split("\r\n");
        // A line that another parser could read as two lines, or as none, is refused.
        return lines.Skip(1).All(static line => HeaderPattern().IsMatch(line)) && !lines[0].Any(char.IsControl)
            ? lines
            : throw new InvalidDataException("not the head of a request");
    }

    [GeneratedRegex(@"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0A-\x1F\x7F]*\z")]
    private static partial Regex HeaderPattern();

    async Task<Stream> ConnectAsync(Uri to, string authority, bool tls, CancellationToken ct)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(to.IdnHost.Trim('[', ']'), to.Port, ct).ConfigureAwait(false);
            var stream = new NetworkStream(socket, ownsSocket: true);
            if (!tls)
                return stream;
            var secure = new SslStream(stream);
            await secure
                .AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = to.IdnHost }, ct)
                .ConfigureAwait(false);
            return secure;
        }
        catch (Exception x)
        {
            socket.Dispose();
            if (x is SocketException s)
                fault = new(authority, CodeOf(s.SocketErrorCode));
            throw;
        }
    }

    static string CodeOf(SocketError error) =>
        error switch
        {
            SocketError.ConnectionRefused => "ECONNREFUSED",
            SocketError.HostNotFound or SocketError.NoData => "ENOTFOUND",
            SocketError.TryAgain => "EAI_AGAIN",
            SocketError.TimedOut => "ETIMEDOUT",
            SocketError.NetworkUnreachable => "ENETUNREACH",
            SocketError.HostUnreachable => "EHOSTUNREACH",
            _ => error.ToString(),
        };

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync().ConfigureAwait(false);
        listener.Dispose();
        await accepting.ConfigureAwait(false);
        Directory.Delete(folder, recursive: true);
    }
}
