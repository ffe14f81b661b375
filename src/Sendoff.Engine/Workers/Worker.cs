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

/// <summary>A worker's end, with its process gone. <paramref name="Victim"/> is the run that it was killed for.</summary>
internal sealed record WorkerDeath(WorkerCause Cause, string Message, WorkerJob? Victim);

/// <summary>One worker: a process, and the socket over which it is given runs and reports them.</summary>
/// <remarks>
/// One task reads its frames; <see cref="WorkerOutbox"/> writes to it. What schedules it (from <see cref="Program"/> on) belongs to the
/// pool and is guarded by its gate.
/// </remarks>
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

    /// <summary>Bytes of memory at which it is killed (E4).</summary>
    public long MemoryLimit => (MemoryMb + limits.WorkerBaseMemoryMb) * 1024L * 1024;
    public WorkerOutbox Outbox { get; private set; }
    public Task<WorkerDeath> Ended { get; private set; } = null!;
    public bool IsDoomed => Volatile.Read(ref cause) >= 0;

    // Guarded by the pool's gate.
    public ProgramQueue? Program { get; set; }
    public bool Loaded { get; set; }
    public bool Retiring { get; set; }
    public bool Revoking { get; set; }
    public bool Warm { get; set; }

    /// <summary>Runs that it was given; the first executes.</summary>
    public List<WorkerJob> Assigned { get; } = [];

    /// <summary>Numbers of runs that were taken from it without its knowledge: it will say that their time to start had passed.</summary>
    public HashSet<int> TakenBack { get; } = [];

    /// <summary>Timestamp of the load's, or the executing run's, beginning.</summary>
    public long BeganAt { get; set; }
    public long LastUsed { get; set; }
    public long BoundAt { get; set; }
    public int LastNumber { get; set; }

    /// <summary>The run that executes, for the reading side.</summary>
    public WorkerJob? Executing
    {
        get => Volatile.Read(ref executing);
        set => Volatile.Write(ref executing, value);
    }
    WorkerJob? executing;

    /// <summary>Starts a worker and waits until it says that it is ready.</summary>
    /// <exception cref="WorkerUnavailableException">It does not start.</exception>
    public static async Task<Worker> StartAsync(WorkerPool pool, NodeBinary node, Sandbox sandbox, int memoryMb, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(pool.Limits.WorkerStart, pool.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, ct);
        using var door = new WorkerDoor(pool.Sockets);
        var room = sandbox.NewRoom();
        var worker = new Worker(pool, await StartProcessAsync(pool, node, sandbox, room, door.Address, memoryMb), room, memoryMb);
        try
        {
            // E4: without a sandbox, a step sees the door of a worker that starts, and would be given its program and secrets.
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

    /// <summary>
    /// The worker's clock in <paramref name="after"/> from <paramref name="now"/> on, in ms; null when its silence cannot be proved. Rather
    /// too early than too late: its clock went on while its word that it is ready was on the way.
    /// </summary>
    public long? ClockAfter(long now, TimeSpan after) =>
        stream is NetworkStream ? (long)(readyClock + time.GetElapsedTime(readyAt, now).TotalMilliseconds + after.TotalMilliseconds) : null;

    /// <summary>Has the reader look whether the worker has said anything that was not read yet. If not, it tells the pool
    /// (<see cref="WorkerPool.OnSilent"/>).</summary>
    public void AskSilence() => _ = silence.CancelAsync();

    /// <summary>Reads frames until the worker is gone, whatever ends it, and answers why.</summary>
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
            // The same as an end of the stream.
        }
        catch (Exception e)
        {
            log.WorkerFailed(Id, e);
            broke = $"worker_protocol: {e.Message}";
            Kill(WorkerCause.BrokeProtocol);
        }
        ArrayPool<byte>.Shared.Return(buffer);
        readerDone.TrySetResult();

        // A worker that closes its socket and lives on is of no use.
        if (await Task.WhenAny(process.Ended, Task.Delay(ExitGrace, time)) != process.Ended)
            Kill(WorkerCause.Exited);
        await process.Ended;
        return Autopsy(broke);
    }

    /// <summary>The reading was given up, so that all that was read is taken in; what is neither read nor there to be read was not written
    /// before now.</summary>
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

    /// <summary>A call is dropped when its run has ended: nobody awaits the answer.</summary>
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

    /// <summary>Kills the process and all that it started. The first cause counts.</summary>
    public void Kill(WorkerCause why, WorkerJob? forRun = null)
    {
        if (Interlocked.CompareExchange(ref cause, (int)why, -1) != -1)
            return;
        victim = forRun;
        // Finding its children takes a while, and who kills holds the pool's gate.
        Background.Queue(log, "The end of a worker", process, static process => process.Kill());
    }

    /// <summary>Bytes of memory that the process holds now; 0 when it is gone.</summary>
    public long ReadMemory() => process.ReadMemory();

    /// <summary>Its room goes with it. Whatever still holds the socket when the process is gone must not keep its reader.</summary>
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
