using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Benchmarks;

/// <summary>Measures attempts per second and their cost in this process, against a sink in another process: the sender, and the .NET client
/// in the same run.</summary>
internal static class DeliveryBenchmark
{
    static readonly byte[] body = Encoding.ASCII.GetBytes(new string('x', 200));

    public static async Task<int> RunAsync(string[] args)
    {
        int requests = args.Length > 0 ? int.Parse(args[0]) : 20_000,
            callers = args.Length > 1 ? int.Parse(args[1]) : 64;
        using var sink = Process.Start(
            new ProcessStartInfo(Environment.ProcessPath!, ["sink"]) { RedirectStandardOutput = true, RedirectStandardInput = true }
        )!;
        string url = (await sink.StandardOutput.ReadLineAsync())!;
        using var sender = new DeliverySender(new EgressPolicy(["127.0.0.1"], []), new EngineLimits(), TimeProvider.System);
        using var invoker = new HttpMessageInvoker(
            new SocketsHttpHandler
            {
                UseCookies = false,
                UseProxy = false,
                AllowAutoRedirect = false,
                ActivityHeadersPropagator = null,
            }
        );
        var delivery = new Delivery(
            default,
            default,
            WorkspaceId.Default,
            default,
            0,
            0,
            Destination.Of(url),
            new HttpSend("POST", url, [new Header("content-type", "application/json"), new Header("x-a", "b")], body),
            DeliveryStatus.Sending
        );

        for (int round = 0; round < 5; round++)
        {
            await MeasureAsync("sender ", requests, callers, () => SendAsync(sender, delivery), round > 0);
            await MeasureAsync("invoker", requests, callers, () => InvokeAsync(invoker, url), round > 0);
        }
        sink.StandardInput.Close();
        await sink.WaitForExitAsync();
        return 0;
    }

    static async Task SendAsync(DeliverySender sender, Delivery delivery)
    {
        var attempt = await sender.SendAsync(delivery, 1, 0, CancellationToken.None).ConfigureAwait(false);
        if (attempt.Status != DeliveryStatus.Succeeded)
            throw new InvalidOperationException(attempt.Error?.Message);
    }

    /// <summary>The minimum that a sender with the .NET client would do: a deadline, and the recorded headers and body.</summary>
    static async Task InvokeAsync(HttpMessageInvoker invoker, string url)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Headers.TryAddWithoutValidation("x-a", "b");
        request.Headers.TryAddWithoutValidation("user-agent", "sendoff/0.1.0");
        request.Content.Headers.TryAddWithoutValidation("content-type", "application/json");
        using var response = await invoker.SendAsync(request, deadline.Token).ConfigureAwait(false);
        var headers = new List<Header>();
        foreach (var (name, values) in response.Headers.NonValidated)
        foreach (string value in values)
            headers.Add(new Header(name.ToLowerInvariant(), value));
        byte[] answer = await response.Content.ReadAsByteArrayAsync(deadline.Token).ConfigureAwait(false);
        if ((int)response.StatusCode != 200 || answer.Length == 0 || headers.Count == 0)
            throw new InvalidOperationException();
    }

    static async Task MeasureAsync(string name, int requests, int callers, Func<Task> send, bool print)
    {
        int left = requests;
        long allocated = GC.GetTotalAllocatedBytes();
        var cpu = Process.GetCurrentProcess().TotalProcessorTime;
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(
            Enumerable
                .Range(0, callers)
                .Select(_ =>
                    Task.Run(async () =>
                    {
                        while (Interlocked.Decrement(ref left) >= 0)
                            await send().ConfigureAwait(false);
                    })
                )
        );
        var took = Stopwatch.GetElapsedTime(start);
        cpu = Process.GetCurrentProcess().TotalProcessorTime - cpu;
        if (print)
            Console.WriteLine(
                $"{name}  {requests / took.TotalSeconds, 7:N0} requests/s  cpu {cpu.TotalMicroseconds / requests, 6:N1} us/request  "
                    + $"{(GC.GetTotalAllocatedBytes() - allocated) / requests, 6:N0} B/request"
            );
    }

    /// <summary>A minimal receiver: reads a request with a known body, responds, and keeps the connection.</summary>
    public static async Task<int> SinkAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(512);
        Console.WriteLine($"http://{listener.LocalEndPoint}/hook");
        _ = AcceptAsync(listener);
        await Console.In.ReadToEndAsync();
        return 0;
    }

    static async Task AcceptAsync(Socket listener)
    {
        while (true)
            _ = ServeAsync(await listener.AcceptAsync());
    }

    static async Task ServeAsync(Socket socket)
    {
        socket.NoDelay = true;
        byte[] buffer = new byte[4096];
        byte[] answer = Encoding.ASCII.GetBytes(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ndate: Mon, 23 Nov 2026 08:00:00 GMT\r\nserver: sink\r\ncontent-length: "
                + "15\r\n\r\n{\"status\":\"ok\"}"
        );
        for (int length = 0; ; )
        {
            int count = await socket.ReceiveAsync(buffer.AsMemory(length));
            if (count == 0)
                break;
            length += count;
            int head = buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (head < 0 || length < head + 4 + body.Length)
                continue;
            length = 0;
            await socket.SendAsync(answer);
        }
        socket.Dispose();
    }
}
