using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Sendoff.Commands.Hostile;

/// <summary>A receiver with all misbehaviours: a path for each, and a separate port for behaviour before the path is known.</summary>
/// <remarks>Open connections, their lifetime and the bytes sent on each are limited.</remarks>
sealed class HostileReceiver : IAsyncDisposable
{
    const int MaxConnections = 512;
    static readonly TimeSpan lifetime = TimeSpan.FromSeconds(30);

    readonly IReadOnlyList<HostileBehaviour> behaviours;
    readonly Action<string>? onRequest;
    readonly ReceiverCertificates certificates = new();
    readonly Dictionary<string, RawReceiver> own = [];
    readonly RawReceiver? shared;
    int requests;

    HostileReceiver(IReadOnlyList<HostileBehaviour> behaviours, int port, Action<string>? onRequest)
    {
        (this.behaviours, this.onRequest) = (behaviours, onRequest);
        try
        {
            if (behaviours.Any(b => b.Listener is null))
                shared = Listen(connection => ServeAsync(connection, Find), port, null);
            foreach (var behaviour in behaviours.Where(b => b.Listener is not null))
                own[behaviour.Name] = Listen(behaviour, port == 0 ? 0 : port + own.Count + 1);
        }
        catch
        {
            foreach (var receiver in All)
                _ = receiver.DisposeAsync().AsTask();
            throw;
        }
    }

    /// <param name="port">0 for any free ports. Otherwise, behaviours with a separate port use the ports after it.</param>
    /// <param name="onRequest">Called with the head of each request.</param>
    /// <exception cref="System.Net.Sockets.SocketException">A port is in use.</exception>
    public static HostileReceiver Start(IReadOnlyList<HostileBehaviour> behaviours, int port = 0, Action<string>? onRequest = null) =>
        new(behaviours, port, onRequest);

    /// <summary>The authority that issued the certificates, so that clients can trust it.</summary>
    public X509Certificate2Collection Roots => certificates.Roots;
    public string AuthorityPem => certificates.AuthorityPem;

    /// <summary>Requests whose head has arrived.</summary>
    public int Requests => Volatile.Read(ref requests);
    public int Connections => All.Sum(receiver => receiver.Connections);
    public int Open => All.Sum(receiver => receiver.Open);

    IEnumerable<RawReceiver> All => shared is null ? own.Values : own.Values.Append(shared);

    public string UrlOf(HostileBehaviour behaviour)
    {
        var listener = own.GetValueOrDefault(behaviour.Name);
        return $"{behaviour.Listener?.Scheme ?? "http"}://{behaviour.Host ?? "127.0.0.1"}:{(listener ?? shared!).Port}/{behaviour.Name}";
    }

    RawReceiver Listen(HostileBehaviour behaviour, int port)
    {
        var listener = behaviour.Listener!;
        var tls = listener.Certificate is null
            ? null
            : new SslServerAuthenticationOptions
            {
                ServerCertificate = listener.Certificate(certificates),
                ApplicationProtocols = listener.Protocol is { } protocol ? [protocol] : null,
            };
        return Listen(listener.Raw ?? (connection => ServeAsync(connection, _ => behaviour)), port, tls);
    }

    static RawReceiver Listen(Func<ReceiverConnection, Task> script, int port, SslServerAuthenticationOptions? tls) =>
        RawReceiver.Start(script, new(port, tls, lifetime, MaxConnections));

    async Task ServeAsync(ReceiverConnection connection, Func<string, HostileBehaviour?> find)
    {
        for (int number = 1; await connection.ReadHeadAsync() is { } head; number++)
        {
            Interlocked.Increment(ref requests);
            onRequest?.Invoke(head);
            var exchange = new HostileExchange(connection, head, number);
            await (
                find(head)?.Script(exchange)
                ?? AnswerWithListAsync(exchange, head.Split(' ', 3) is [_, "/", _] ? "200 OK" : "404 Not Found")
            );
            if (exchange.IsClosed)
                return;
        }
    }

    HostileBehaviour? Find(string head)
    {
        string[] words = head.Split(' ', 3);
        string name = words.Length < 2 ? "" : words[1].Split('?')[0].TrimStart('/');
        return behaviours.FirstOrDefault(behaviour => behaviour.Name == name);
    }

    Task AnswerWithListAsync(HostileExchange exchange, string status)
    {
        string list = string.Concat(behaviours.Select(behaviour => $"{UrlOf(behaviour)}  {behaviour.Does}\n"));
        return exchange.RespondAsync(
            $"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {Encoding.Latin1.GetByteCount(list)}\r\n\r\n{list}"
        );
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var receiver in All)
            await receiver.DisposeAsync();
    }
}
