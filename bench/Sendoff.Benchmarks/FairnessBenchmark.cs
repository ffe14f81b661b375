using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Benchmarks;

/// <summary> B5: measures how long deliveries to a good destination wait for a sender, alone and together with as many to a dead
/// destination, with the real store and real sockets. The dead destination accepts connections and never responds, or does not even accept.
/// </summary>
internal static class FairnessBenchmark
{
    const int SendsOfRun = 10;

    public static async Task<int> RunAsync(string[] args)
    {
        int sends = args.Length > 0 ? int.Parse(args[0]) : 1_000,
            rounds = args.Length > 1 ? int.Parse(args[1]) : 3;
        using var good = Listen();
        _ = AnswerAsync(good);
        using var silent = Listen();
        _ = HoldAsync(silent);
        using var full = Listen(backlog: 0);
        var crowd = await CrowdAsync(full);

        await MeasureAsync(sends, Url(good), null);
        List<double> silentRatios = [],
            fullRatios = [];
        for (int round = 1; round <= rounds; round++)
        {
            var alone = await MeasureAsync(sends, Url(good), null);
            var besideSilent = await MeasureAsync(sends, Url(good), Url(silent));
            var besideFull = await MeasureAsync(sends, Url(good), Url(full));
            Print(round, "alone", alone, alone);
            Print(round, "beside never answers", besideSilent, alone);
            Print(round, "beside never accepts", besideFull, alone);
            silentRatios.Add(besideSilent.Median / alone.Median);
            fullRatios.Add(besideFull.Median / alone.Median);
        }
        Console.WriteLine(
            $"median of the ratios of medians: never answers {Middle(silentRatios):N2}, never accepts {Middle(fullRatios):N2}"
        );
        foreach (var socket in crowd)
            socket.Dispose();
        return 0;
    }

    sealed record Waits(double Median, double P99, double Max);

    static double Middle(List<double> values) => values.Order().ElementAt(values.Count / 2);

    static void Print(int round, string name, Waits waits, Waits alone) =>
        Console.WriteLine(
            $"round {round}  {name, -21}  queue ms: median {waits.Median, 7:N2}  p99 {waits.P99, 7:N2}  max {waits.Max, 7:N2}   "
                + $"ratio: median {waits.Median / alone.Median:N2}  p99 {waits.P99 / alone.P99:N2}"
        );

    /// <summary>Commits all runs at the same time, each with its sends to each destination, and returns the waiting times of the good
    /// destination.</summary>
    static async Task<Waits> MeasureAsync(int sends, string good, string? dead)
    {
        string folder = Path.Combine(Path.GetTempPath(), "sendoff-bench-" + Path.GetRandomFileName());
        var concealment = StoreLoad.NewConcealment();
        var (limits, time, ids) = (new EngineLimits(), TimeProvider.System, new IdSequence(TimeProvider.System));
        try
        {
            await using var store = await SqliteStore.OpenAsync(
                Path.Combine(folder, "sendoff.db"),
                concealment,
                ids,
                limits,
                time,
                NullLogger<SqliteStore>.Instance,
                default
            );
            using var sender = new DeliverySender(new EgressPolicy(["127.0.0.1"], []), limits, time);
            using var dispatcher = new DeliveryDispatcher(
                store,
                sender,
                new EngineContext(ids, limits, time, new ChangeFeed(), new Pacing(limits, time)),
                concealment,
                new ServerHold(),
                NullLogger<DeliveryDispatcher>.Instance
            );
            var workflow = (await store.DeployAsync("orders", new Dictionary<string, string> { ["a"] = "b" }, [], default)).Id;
            string[] urls = [.. Enumerable.Range(0, SendsOfRun).SelectMany(_ => dead is null ? [good] : (string[])[dead, good])];
            var runs = await Task.WhenAll(
                Enumerable.Range(0, sends / SendsOfRun).Select(_ => Task.Run(() => SendAsync(store, dispatcher, ids, workflow, urls)))
            );

            var waits = new List<double>();
            foreach (var delivery in runs.SelectMany(static run => run).Where(delivery => delivery.Request.Url == good))
                waits.Add(await WaitOfAsync(store, delivery.Id));
            await dispatcher.StopAsync(new CancellationToken(true));
            waits.Sort();
            return new(waits[waits.Count / 2], waits[waits.Count * 99 / 100], waits[^1]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    static async Task<Delivery[]> SendAsync(
        SqliteStore store,
        DeliveryDispatcher dispatcher,
        IdSequence ids,
        WorkflowId workflow,
        string[] urls
    )
    {
        var now = TimeProvider.System.GetUtcNow();
        var queued = new QueuedRun(
            new(ids.Next()),
            new Event(new(ids.Next()), WorkspaceId.Default, workflow, "http", now, "{}"u8.ToArray()),
            1
        );
        await store.AcceptAsync(queued, default);
        long first = ids.NextBlock(urls.Length);
        Delivery[] deliveries =
        [
            .. urls.Select(
                (url, i) =>
                    new Delivery(
                        new(first + i * IdSequence.Stride),
                        queued.Id,
                        WorkspaceId.Default,
                        workflow,
                        0,
                        i,
                        Destination.Of(url),
                        new HttpSend("POST", url, [new Header("content-type", "text/plain")], "hello"u8.ToArray()),
                        DeliveryStatus.Pending
                    )
            ),
        ];
        var run = new Run(
            queued.Id,
            queued.Event.Id,
            WorkspaceId.Default,
            workflow,
            1,
            "http",
            RunStatus.Succeeded,
            now,
            default,
            default,
            false,
            false,
            null,
            null,
            null,
            []
        );
        await dispatcher.CommitAsync(deliveries, () => store.FinishRunAsync(run, deliveries, default));
        return deliveries;
    }

    static async Task<double> WaitOfAsync(SqliteStore store, DeliveryId id)
    {
        while (true)
        {
            if (await store.GetDeliveryAsync(id, default) is { Attempts: [var attempt] })
                return attempt.Timing.QueueMs;
            await Task.Delay(20);
        }
    }

    static Socket Listen(int backlog = 512)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(backlog);
        return listener;
    }

    static string Url(Socket listener) => $"http://{listener.LocalEndPoint}/hook";

    static async Task AnswerAsync(Socket listener)
    {
        byte[] answer = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        while (true)
            _ = ServeAsync(await listener.AcceptAsync(), answer);
    }

    static async Task ServeAsync(Socket socket, byte[] answer)
    {
        byte[] buffer = new byte[4096];
        // A request of this size arrives in one piece.
        while (await socket.ReceiveAsync(buffer) > 0)
            await socket.SendAsync(answer);
        socket.Dispose();
    }

    static async Task HoldAsync(Socket listener)
    {
        var held = new List<Socket>();
        while (true)
            held.Add(await listener.AcceptAsync());
    }

    /// <summary>Fills the queue of a listener that never accepts, so that it responds to nobody.</summary>
    static async Task<List<Socket>> CrowdAsync(Socket listener)
    {
        var crowd = new List<Socket>();
        for (int i = 0; i < 8; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            crowd.Add(socket);
            using var patience = new CancellationTokenSource(200);
            try
            {
                await socket.ConnectAsync(listener.LocalEndPoint!, patience.Token);
            }
            catch (OperationCanceledException)
            {
                break;
            }
        }
        return crowd;
    }
}
