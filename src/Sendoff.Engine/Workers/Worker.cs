using System.Buffers;
using System.ComponentModel;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>Why a worker's process ended.</summary>
internal enum WorkerCause
{
    Exited,
    OutOfMemory,
    TimedOut,
    BrokeProtocol,
    OverLimit,
    Cancelled,
    Retired,
    Stopped,
}

/// <summary>The end of a worker, after its process has ended. <paramref name="Victim"/> is the run because of which it was
/// killed.</summary>
internal sealed record WorkerDeath(WorkerCause Cause, string Message, WorkerJob? Victim);

/// <summary>One worker: a process and its socket.</summary>
/// <remarks>One task reads its frames; <see cref="WorkerOutbox"/> writes to it. Its scheduling state (from <see cref="Program"/> on)
/// belongs to the pool and is guarded by its lock.</remarks>
internal sealed class Worker
{
    const int FirstBuffer = 64 * 1024,
        KeptBuffer = 1024 * 1024;
    static readonly TimeSpan ExitGrace = TimeSpan.FromSeconds(1);

    readonly WorkerPool pool;
    readonly WorkerProcess process;
    readonly WorkerRoom room;
    readonly EngineLimits limits;
    readonly TimeProvider time;
    readonly ILogger log;
    readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource readerDone = new();
    readonly TextCache known = new();
    Stream stream = Stream.Null;
    volatile CancellationTokenSource silence = new();
    long readyAt;
    double readyClock;
    int cause = -1;
    WorkerJob? victim;

    Worker(WorkerPool pool, WorkerProcess process, WorkerRoom room, int memoryMb)
    {
        (this.pool, this.process, this.room, limits, time, log) = (pool, process, room, pool.Limits, pool.Time, pool.Log);
        MemoryMb = memoryMb;
        Outbox = new(stream, room, limits);
    }

    public int Id => process.Id;
    public int MemoryMb { get; }

    /// <summary>Memory limit in bytes (E4).</summary>
    public long MemoryLimit => (MemoryMb + limits.WorkerBaseMemoryMb) * 1024L * 1024;
    public WorkerOutbox Outbox { get; private set; }
    public Task<WorkerDeath> Ended { get; private set; } = null!;

    /// <summary>Whether it has its own copies of its program's files.</summary>
    public bool HasOwnFiles => room.HasFiles;
    public bool IsDoomed => Volatile.Read(ref cause) >= 0;

    // Guarded by the pool's lock.
    public ProgramQueue? Program { get; set; }
    public bool Loaded { get; set; }
    public bool Retiring { get; set; }
    public bool Revoking { get; set; }
    public bool Warm { get; set; }

    /// <summary>Its runs; the first one executes.</summary>
    public List<WorkerJob> Assigned { get; } = [];

    /// <summary>Numbers of runs that were given to other workers; it will report them as expired.</summary>
    public HashSet<int> TakenBack { get; } = [];

    /// <summary>Start time of loading, or of the executing run.</summary>
    public long BeganAt { get; set; }
    public long LastUsed { get; set; }
    public long BoundAt { get; set; }
    public int LastNumber { get; set; }

    /// <summary>The executing run, for the reader task.</summary>
    public WorkerJob? Executing
    {
        get => Volatile.Read(ref executing);
        set => Volatile.Write(ref executing, value);
    }
    WorkerJob? executing;

    /// <summary>Starts a worker and waits until it is ready.</summary>
    /// <exception cref="WorkerUnavailableException">It cannot start.</exception>
    public static async Task<Worker> StartAsync(WorkerPool pool, NodeBinary node, Sandbox sandbox, int memoryMb, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(pool.Limits.WorkerStart, pool.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, ct);
        using var door = new WorkerDoor(pool.Sockets);
        var room = sandbox.NewRoom();
        var worker = new Worker(pool, await StartProcessAsync(pool, node, sandbox, room, door.Address, memoryMb), room, memoryMb);
        try
        {
            // E4: without a sandbox, a step could connect to the socket of a starting worker and receive its program and secrets.
            var accept = door.AcceptAsync(sandbox.HasBubblewrap ? null : worker.process.Id, either.Token);
            if (await Task.WhenAny(accept, worker.process.Ended) == accept)
                worker.Connect(await accept);
            worker.Ended = worker.ReadAsync();
            if (await Task.WhenAny(worker.ready.Task.WaitAsync(either.Token), worker.Ended) is var first && first == worker.Ended)
                throw Unavailable(node, (await worker.Ended).Message);
            await first;
            return worker;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
        {
            worker.Kill(WorkerCause.Stopped);
            worker.Ended ??= worker.ReadAsync();
            await worker.Ended;
            ct.ThrowIfCancellationRequested();
            throw Unavailable(
                node,
                limit.IsCancellationRequested
                    ? $"it was not ready after {pool.Limits.WorkerStart.TotalSeconds:0} s{worker.process.LastWords()}"
                    : e.Message
            );
        }
    }

    static async Task<WorkerProcess> StartProcessAsync(
        WorkerPool pool,
        NodeBinary node,
        Sandbox sandbox,
        WorkerRoom room,
        string address,
        int memoryMb
    )
    {
        try
        {
            var process = await WorkerProcess.StartAsync(sandbox, node, room, address, memoryMb, pool.Time);
            pool.Guard.Watch(process);
            return process;
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException)
        {
            room.Dispose();
            throw Unavailable(node, e.Message);
        }
    }

    static WorkerUnavailableException Unavailable(NodeBinary node, string why) =>
        new($"a worker does not start with Node.js {node.Version} ({node.Path}): {why}");

    void Connect(Stream connected)
    {
        stream = connected;
        if (WorkerDoor.PeerOf(connected) is { } pid)
            process.Measure(pid);
        Outbox = new(stream, room, limits);
    }

    /// <summary>The worker's clock at <paramref name="after"/> from <paramref name="now"/>, in ms; null if unread data cannot be detected.
    /// The estimate is never too late, because the clock advanced while the ready frame was sent.</summary>
    public long? ClockAfter(long now, TimeSpan after) =>
        stream is NetworkStream ? (long)(readyClock + time.GetElapsedTime(readyAt, now).TotalMilliseconds + after.TotalMilliseconds) : null;

    /// <summary>Makes the reader check for unread data of the worker. If there is none, it calls the pool
    /// (<see cref="WorkerPool.OnSilent"/>).</summary>
    public void AskSilence() => _ = silence.CancelAsync();

    /// <summary>Reads frames until the worker ends, and returns the reason.</summary>
    async Task<WorkerDeath> ReadAsync()
    {
        _ = CloseLaterAsync();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        int have = 0;
        string? broke = null;
        try
        {
            while (true)
            {
                int read;
                try
                {
                    read = await stream.ReadAsync(buffer.AsMemory(have), silence.Token);
                }
                catch (OperationCanceledException)
                {
                    TellSilence();
                    continue;
                }
                if (read == 0)
                    break;
                have += read;
                int used = TakeFrames(buffer.AsSpan(0, have));
                have -= used;
                int needed = Math.Max(FirstBuffer, WorkerFrame.WholeBytes(buffer.AsSpan(used, have)));
                if (needed > buffer.Length || (have == 0 && buffer.Length > KeptBuffer))
                    buffer = Move(buffer, used, have, needed);
                else if (used > 0)
                    Buffer.BlockCopy(buffer, used, buffer, 0, have);
            }
        }
        catch (Exception e) when (e is WorkerProtocolException or JsonException)
        {
            broke = $"worker_protocol: the worker sent {e.Message}";
            Kill(WorkerCause.BrokeProtocol);
        }
        catch (WorkerLimitException e)
        {
            broke = e.Message;
            Kill(WorkerCause.OverLimit);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // Same as the end of the stream.
        }
        catch (Exception e)
        {
            log.WorkerFailed(Id, e);
            broke = $"worker_protocol: {e.Message}";
            Kill(WorkerCause.BrokeProtocol);
        }
        ArrayPool<byte>.Shared.Return(buffer);
        readerDone.TrySetResult();

        // A worker without a socket is useless, so it is killed.
        if (await Task.WhenAny(process.Ended, Task.Delay(ExitGrace, time)) != process.Ended)
            Kill(WorkerCause.Exited);
        await process.Ended;
        return Autopsy(broke);
    }

    /// <summary>The read was cancelled, so everything that was read is processed; the worker had written nothing else by now.</summary>
    void TellSilence()
    {
        silence = new();
        long now = time.GetTimestamp();
        if (stream is not NetworkStream { DataAvailable: false })
            return;
        var touched = new TouchedWorkers();
        pool.OnSilent(this, now, ref touched);
        touched.Flush();
    }

    static byte[] Move(byte[] buffer, int start, int count, int size)
    {
        byte[] larger = ArrayPool<byte>.Shared.Rent(size);
        Buffer.BlockCopy(buffer, start, larger, 0, count);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }

    int TakeFrames(Span<byte> input)
    {
        int length = input.Length;
        var touched = new TouchedWorkers();
        try
        {
            while (WorkerFrame.TryRead(ref input, limits.FrameBytes, out var kind, out var payload))
                Take(kind, payload, ref touched);
        }
        finally
        {
            touched.Flush();
        }
        return length - input.Length;
    }

    void Take(FrameKind kind, Span<byte> payload, ref TouchedWorkers touched)
    {
        if (!ready.Task.IsCompleted && kind != FrameKind.Ready)
            throw new WorkerProtocolException($"a frame of kind {(byte)kind} before it was ready");
        switch (kind)
        {
            case FrameKind.Ready:
                OnReady(payload);
                break;
            case FrameKind.Loaded:
                var program = Program?.Program ?? throw new WorkerProtocolException("a loaded frame before it got a load frame");
                pool.OnLoaded(this, WorkerMessages.ReadLoaded(payload, program.Steps, program.IsTrial), ref touched);
                break;
            case FrameKind.Revoked:
                pool.OnRevoked(this, WorkerMessages.ReadRuns(payload), ref touched);
                break;
            case FrameKind.Expired:
                pool.OnExpired(this, WorkerMessages.ReadRuns(payload), ref touched);
                break;
            case FrameKind.RunEnd:
                var job = MustExecute(kind);
                pool.OnRunEnd(this, job, job.ReadEnd(payload), ref touched);
                break;
            case FrameKind.Call:
                OnCall(payload);
                break;
            default:
                MustExecute(kind).Accept(kind, payload, known);
                break;
        }
    }

    void OnReady(Span<byte> payload)
    {
        if (ready.Task.IsCompleted)
            throw new WorkerProtocolException("a second ready frame");
        readyAt = time.GetTimestamp();
        readyClock = WorkerMessages.ReadClock(payload);
        ready.SetResult();
    }

    /// <summary>A call of a run that has ended is dropped.</summary>
    void OnCall(Span<byte> payload)
    {
        var call = WorkerMessages.ReadCall(payload);
        if (Executing is not { } job || call.Run < job.Number)
            return;
        if (call.Run > job.Number)
            throw new WorkerProtocolException($"a call of run {call.Run}, which has not started");
        job.Ask(this, call);
    }

    WorkerJob MustExecute(FrameKind kind) =>
        Executing ?? throw new WorkerProtocolException($"a frame of kind {(byte)kind} while it had no run");

    /// <summary>Kills the process and its children. The first cause is kept.</summary>
    public void Kill(WorkerCause why, WorkerJob? forRun = null)
    {
        if (Interlocked.CompareExchange(ref cause, (int)why, -1) != -1)
            return;
        victim = forRun;
        // Finding its children takes time, and the caller holds the pool's lock.
        Background.Queue(log, "The end of a worker", process, static process => process.Kill());
    }

    /// <summary>Current memory of the process in bytes; 0 if it has ended.</summary>
    public long ReadMemory() => process.ReadMemory();

    /// <summary>Also removes its folder. If another process still has the socket open, reading is cancelled.</summary>
    async Task CloseLaterAsync()
    {
        await process.Ended;
        room.Dispose();
        await Task.WhenAny(readerDone.Task, Task.Delay(ExitGrace, time));
        await stream.DisposeAsync();
    }

    WorkerDeath Autopsy(string? broke)
    {
        int killed = Interlocked.CompareExchange(ref cause, (int)WorkerCause.Exited, -1);
        return killed >= 0 ? new((WorkerCause)killed, broke ?? "", victim) : process.Autopsy();
    }
}
