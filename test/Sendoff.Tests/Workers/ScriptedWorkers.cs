using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>
/// A pool whose workers are played by the test: each is a real process that passes every byte on between the pool and the test, so that the
/// order of frames is the test's. Time stands still unless the test advances it.
/// </summary>
sealed class ScriptedWorkers : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly WorkerRig rig;

    public ScriptedWorkers(EngineLimits? limits = null, Func<WorkerProgram, IStepCalls>? calls = null)
    {
        listener.Start();
        string harness = Path.Combine(Directory.CreateTempSubdirectory("sendoff-test-").FullName, "relay.mjs");
        File.WriteAllText(
            harness,
            $$"""
            import net from 'node:net';
            const pool = net.connect(process.argv[2]), test = net.connect({{((IPEndPoint)listener.LocalEndpoint).Port}}, '127.0.0.1');
            pool.pipe(test).pipe(pool);
            for (const socket of [pool, test]) socket.on('error', () => process.exit()).on('close', () => process.exit());
            """
        );
        rig = new(limits ?? new() { WorkersWarm = 0, WorkersMax = 1 }, harness, calls: calls, time: Time);
        Program = rig.Program("");
    }

    public FakeTimeProvider Time { get; } = new(TimeProvider.System.GetUtcNow());
    public WorkerPool Pool => rig.Pool;
    public WorkerProgram Program { get; }

    /// <summary>The next worker that starts, before it has said anything.</summary>
    public async Task<ScriptedWorker> ConnectedAsync() => new(await listener.AcceptTcpClientAsync(Wait.Token));

    /// <summary>The next worker that starts, ready for its program.</summary>
    public async Task<ScriptedWorker> StartedAsync()
    {
        var worker = await ConnectedAsync();
        await worker.WriteAsync(
            ScriptedWorker.Ready,
            new
            {
                pid = 1,
                node = "v24.0.0",
                clock = 0,
            }
        );
        return worker;
    }

    /// <summary>The next worker that starts, with the program loaded.</summary>
    public async Task<ScriptedWorker> LoadedAsync()
    {
        var worker = await StartedAsync();
        await worker.LoadAsync();
        return worker;
    }

    /// <summary>A worker whose program's runs are known to be short, so that it is handed further ones ahead.</summary>
    public async Task<ScriptedWorker> ShortAsync()
    {
        const int known = 5;
        ScriptedWorker? worker = null;
        for (int i = 0; i < known; i++)
        {
            var (ended, _) = Run();
            worker ??= await LoadedAsync();
            await worker.EndAsync(await worker.ReadRunAsync());
            await ended.WithinLimitAsync();
        }
        return worker!;
    }

    /// <summary>Gives the pool a run of the program.</summary>
    public (Task Ended, WorkerRun Run) Run(double timeoutSeconds = 30, RunResume? resume = null, CancellationToken ct = default)
    {
        var run = WorkerRig.NewRun(timeoutSeconds: timeoutSeconds, resume: resume);
        return (Pool.RunAsync(Program, run, ct), run);
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        listener.Dispose();
    }
}

/// <summary>The test's end of one worker.</summary>
sealed class ScriptedWorker(TcpClient client)
{
    public const byte Load = 1,
        RunFrame = 2,
        Revoke = 3,
        Answer = 4,
        Ready = 16,
        Loaded = 17,
        Revoked = 18,
        Expired = 19,
        Send = 20,
        Log = 21,
        RunEnd = 26,
        Call = 27;

    readonly NetworkStream stream = client.GetStream();

    public async Task WriteAsync(byte kind, object payload, bool withBody = false)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(payload);
        byte[] head = withBody ? BitConverter.GetBytes(json.Length) : [];
        byte[] frame = [0, 0, 0, 0, kind, .. head, .. json];
        BinaryPrimitives.WriteInt32LittleEndian(frame, head.Length + json.Length + 1);
        await stream.WriteAsync(frame, Wait.Token);
    }

    /// <summary>The next frame, which must be of this kind.</summary>
    public async Task<JsonElement> ReadAsync(byte kind)
    {
        byte[] head = new byte[5];
        await stream.ReadExactlyAsync(head, Wait.Token);
        byte[] json = new byte[BinaryPrimitives.ReadInt32LittleEndian(head) - 1];
        await stream.ReadExactlyAsync(json, Wait.Token);
        Assert.True(head[4] == kind, $"a frame of kind {head[4]} instead of {kind}: {Encoding.UTF8.GetString(json)}");
        return JsonElement.Parse(json);
    }

    /// <summary>Loads the program that it is given.</summary>
    public async Task LoadAsync()
    {
        await ReadAsync(Load);
        await WriteAsync(
            Loaded,
            new
            {
                steps = new[] { new { name = "step1" } },
                problems = Array.Empty<int>(),
                warnings = Array.Empty<int>(),
            }
        );
    }

    /// <summary>The number of the next run that it is handed.</summary>
    public async Task<int> ReadRunAsync(bool ahead = false)
    {
        var frame = await ReadAsync(RunFrame);
        Assert.Equal(ahead, frame.TryGetProperty("startBy", out _));
        return frame.GetProperty("run").GetInt32();
    }

    public Task EndAsync(int run, bool tainted = false) =>
        WriteAsync(
            RunEnd,
            new
            {
                run,
                status = "succeeded",
                durationMs = 0,
                idleMs = 0,
                tainted,
            }
        );

    public Task SayAsync(int run) =>
        WriteAsync(
            Log,
            new
            {
                run,
                step = 0,
                level = "log",
                text = "started",
                at = 0,
            }
        );

    public Task GiveBackAsync(byte kind, params int[] runs) => WriteAsync(kind, new { runs });

    public Task SendAsync(int run, int index) =>
        WriteAsync(
            Send,
            new
            {
                run,
                step = 0,
                index,
                method = "GET",
                url = "http://a.example/",
                headers = Array.Empty<string>(),
            },
            withBody: true
        );

    public Task CallAsync(int run) =>
        WriteAsync(
            Call,
            new
            {
                run,
                step = 0,
                id = 1,
                method = "get",
                args = new { },
            }
        );

    /// <summary>Ends its process, as a crash does.</summary>
    public void Die() => client.Dispose();

    /// <summary>Waits until the pool has ended it.</summary>
    public async Task GoneAsync()
    {
        byte[] rest = new byte[1024];
        try
        {
            while (await stream.ReadAsync(rest, Wait.Token) > 0) { }
        }
        catch (IOException)
        {
            // Killed with bytes unread.
        }
    }
}
