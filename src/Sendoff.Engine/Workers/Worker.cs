using System.Buffers;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>Why a worker's process ended.</summary>
internal enum WorkerCause { Exited, OutOfMemory, TimedOut, BrokeProtocol, OverLimit, Cancelled, Retired, Stopped }

/// <summary>A worker's end, with its process gone. <paramref name="Victim"/> is the run that it was killed for.</summary>
internal sealed record WorkerDeath(WorkerCause Cause, string Message, WorkerJob? Victim);

/// <summary>One Node.js process. The only class that starts any (besides the fetching of Node.js itself).</summary>
/// <remarks>
/// One task reads its frames; whoever adds a frame to the outbox while nobody writes becomes the writer, so that frames that wait together are written together.
/// What schedules it (from <see cref="Program"/> on) belongs to the pool and is guarded by its gate.
/// </remarks>
internal sealed class Worker
{
    const int TailBytes = 4096, FirstBuffer = 64 * 1024, KeptBuffer = 1024 * 1024;
    static readonly TimeSpan ExitGrace = TimeSpan.FromSeconds(1);

    readonly WorkerPool pool;
    readonly Process process;
    readonly EngineLimits limits;
    readonly TimeProvider time;
    readonly ILogger log;
    readonly TaskCompletionSource ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource readerDone = new();
    readonly TextCache known = new();
    readonly Lock outGate = new();
    readonly Queue<OutFrame> outbox = new();
    readonly byte[] stderrTail = new byte[TailBytes];
    readonly Task drained;
    readonly ProcessMemory memory;
    Stream stream = Stream.Null;
    int stderrLength;
    bool writing;
    int cause = -1;
    WorkerJob? victim;

    Worker(WorkerPool pool, Process process, int memoryMb)
    {
        (this.pool, this.process, limits, time, log) = (pool, process, pool.Limits, pool.Time, pool.Log);
        Id = process.Id;
        MemoryMb = memoryMb;
        memory = new(process);
        drained = Task.WhenAll(DrainAsync(process.StandardOutput.BaseStream, keep: false), DrainAsync(process.StandardError.BaseStream, keep: true));
    }

    public int Id { get; }
    public int MemoryMb { get; }
    /// <summary>Bytes of memory at which it is killed (E4).</summary>
    public long MemoryLimit => (MemoryMb + limits.WorkerBaseMemoryMb) * 1024L * 1024;
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
    /// <summary>Timestamp of the load's, or the executing run's, beginning.</summary>
    public long BeganAt { get; set; }
    public long LastUsed { get; set; }
    public long BoundAt { get; set; }
    public int LastNumber { get; set; }
    /// <summary>The run that executes, for the reading side.</summary>
    public WorkerJob? Executing { get => Volatile.Read(ref executing); set => Volatile.Write(ref executing, value); }
    WorkerJob? executing;

    /// <summary>Starts a worker and waits until it says that it is ready.</summary>
    /// <exception cref="WorkerUnavailableException">It does not start.</exception>
    public static async Task<Worker> StartAsync(WorkerPool pool, NodeBinary node, string harness, int memoryMb, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(pool.Limits.WorkerStart, pool.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, ct);
        using var door = new WorkerDoor(pool.Sockets);
        var worker = new Worker(pool, StartProcess(node, harness, door.Address, memoryMb), memoryMb);
        try
        {
            var exit = worker.process.WaitForExitAsync(either.Token);
            var accept = door.AcceptAsync(either.Token);
            if (await Task.WhenAny(accept, exit) == accept) worker.stream = await accept;
            else await exit;
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
            throw Unavailable(node, limit.IsCancellationRequested ? $"it was not ready after {pool.Limits.WorkerStart.TotalSeconds:0} s{worker.LastWords()}" : e.Message);
        }
    }

    static WorkerUnavailableException Unavailable(NodeBinary node, string why) => new($"a worker does not start with Node.js {node.Version} ({node.Path}): {why}");

    static Process StartProcess(NodeBinary node, string harness, string address, int memoryMb)
    {
        var start = new ProcessStartInfo(node.Path)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, CreateNoWindow = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.ArgumentList.Add($"--max-old-space-size={memoryMb}");
        // Steps make short-lived objects: a young generation of 24 MiB serves them as well as V8's own, which costs a busy worker 60 MB more.
        start.ArgumentList.Add("--max-semi-space-size=8");
        // A step without package.json beside it is a module if it reads like one; since 22.7 Node.js does so by itself.
        if (node.Version < new Version(22, 7) && node.Version >= new Version(20, 10)) start.ArgumentList.Add("--experimental-detect-module");
        start.ArgumentList.Add(harness);
        start.ArgumentList.Add(address);
        // E4: nothing of the server's environment. Windows cannot open sockets without its own folder.
        start.Environment.Clear();
        if (OperatingSystem.IsWindows() && Environment.GetEnvironmentVariable("SystemRoot") is { } root) start.Environment["SystemRoot"] = root;
        try
        {
            var process = Process.Start(start)!;
            process.StandardInput.Close();
            return process;
        }
        catch (Exception e) when (e is System.ComponentModel.Win32Exception or InvalidOperationException)
        {
            throw Unavailable(node, e.Message);
        }
    }

    public void PostLoad() => Post(default(OutFrame));

    public void Post(WorkerJob job) => Post(new OutFrame(job, null));

    public void PostRevoke(List<int> runs) => Post(new OutFrame(null, runs));

    void Post(OutFrame frame)
    {
        lock (outGate) outbox.Enqueue(frame);
    }

    /// <summary>Writes what was posted, unless somebody is at it. Call it without the pool's gate.</summary>
    public void Flush()
    {
        lock (outGate)
        {
            if (writing || outbox.Count == 0) return;
            writing = true;
        }
        _ = WriteAsync();
    }

    readonly List<OutFrame> batch = [];
    ArrayBufferWriter<byte> output = new(FirstBuffer);
    Utf8JsonWriter? json;

    async Task WriteAsync()
    {
        while (true)
        {
            batch.Clear();
            lock (outGate)
            {
                while (batch.Count < 64 && outbox.TryDequeue(out var frame)) batch.Add(frame);
                if (batch.Count == 0)
                {
                    writing = false;
                    return;
                }
            }
            json ??= new(output, new JsonWriterOptions { SkipValidation = true, MaxDepth = MessageReader.MaxDepth });
            foreach (var frame in batch)
            {
                if (frame.Job is { } job)
                {
                    WorkerFrame.WriteRun(output, json, job.Number, job.Run);
                    job.Written = true;
                }
                else if (frame.Revoke is { } runs) WorkerFrame.WriteRevoke(output, json, runs);
                else WorkerFrame.WriteLoad(output, json, Program!.Program, limits);
            }
            try
            {
                await stream.WriteAsync(output.WrittenMemory);
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
            {
                return; // the reading side sees the end
            }
            if (output.Capacity <= KeptBuffer) output.ResetWrittenCount();
            else output = new(FirstBuffer);
        }
    }

    /// <summary>Reads frames until the worker is gone, whatever ends it, and answers why.</summary>
    async Task<WorkerDeath> ReadAsync()
    {
        var exit = WatchExitAsync();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        int have = 0;
        string? broke = null;
        try
        {
            while (true)
            {
                int read = await stream.ReadAsync(buffer.AsMemory(have));
                if (read == 0) break;
                have += read;
                int used = TakeFrames(buffer.AsSpan(0, have));
                have -= used;
                int needed = Math.Max(FirstBuffer, WorkerFrame.WholeBytes(buffer.AsSpan(used, have)));
                if (needed > buffer.Length || (have == 0 && buffer.Length > KeptBuffer)) buffer = Move(buffer, used, have, needed);
                else if (used > 0) Buffer.BlockCopy(buffer, used, buffer, 0, have);
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
        if (await Task.WhenAny(exit, Task.Delay(ExitGrace, time)) != exit) Kill(WorkerCause.Exited);
        await exit;
        return Autopsy(broke);
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
            while (WorkerFrame.TryRead(ref input, limits.FrameBytes, out var kind, out var payload)) Take(kind, payload, ref touched);
        }
        finally
        {
            touched.Flush();
        }
        return length - input.Length;
    }

    void Take(FrameKind kind, Span<byte> payload, ref TouchedWorkers touched)
    {
        if (!ready.Task.IsCompleted && kind != FrameKind.Ready) throw new WorkerProtocolException($"a frame of kind {(byte)kind} before it was ready");
        switch (kind)
        {
            case FrameKind.Ready:
                if (!ready.TrySetResult()) throw new WorkerProtocolException("a second frame that says it is ready");
                break;
            case FrameKind.Loaded:
                pool.OnLoaded(this, ReadProblems(payload), ref touched);
                break;
            case FrameKind.Revoked:
                pool.OnRevoked(this, ReadRuns(payload), ref touched);
                break;
            case FrameKind.RunEnd:
                var job = MustExecute(kind);
                pool.OnRunEnd(this, job, job.ReadEnd(payload), ref touched);
                break;
            default:
                MustExecute(kind).Accept(kind, payload, known);
                break;
        }
    }

    WorkerJob MustExecute(FrameKind kind) => Executing ?? throw new WorkerProtocolException($"a frame of kind {(byte)kind} while it had no run");

    List<StepProblem> ReadProblems(Span<byte> payload)
    {
        var steps = (Program ?? throw new WorkerProtocolException("a frame that says it is loaded, before it was asked")).Program.Steps;
        var problems = new List<StepProblem>();
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (!message.Is("problems"u8))
            {
                message.Skip();
                continue;
            }
            message.Array();
            while (message.NextElement()) problems.Add(ReadProblem(ref message, steps));
        }
        return problems;
    }

    static StepProblem ReadProblem(ref MessageReader message, IReadOnlyList<ProgramStep> steps)
    {
        message.Object();
        int step = 0;
        string file = "", name = "Error", text = "";
        string? source = null;
        int? line = null, column = null;
        while (message.NextField())
        {
            if (message.Is("step"u8)) step = message.Int(0, steps.Count - 1);
            else if (message.Is("file"u8)) file = message.Text();
            else if (message.Is("name"u8)) name = message.Text();
            else if (message.Is("message"u8)) text = message.Text();
            else if (message.Is("line"u8)) line = message.OptionalInt();
            else if (message.Is("column"u8)) column = message.OptionalInt();
            else if (message.Is("source"u8)) source = message.OptionalText();
            else message.Skip();
        }
        return new(steps[step].Name, file, name, text, line, column, source);
    }

    static List<int> ReadRuns(Span<byte> payload)
    {
        var runs = new List<int>();
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (!message.Is("runs"u8))
            {
                message.Skip();
                continue;
            }
            message.Array();
            while (message.NextElement()) runs.Add(message.ElementInt());
        }
        return runs;
    }

    /// <summary>Kills the process and all that it started. The first cause counts.</summary>
    public void Kill(WorkerCause why, WorkerJob? forRun = null)
    {
        if (Interlocked.CompareExchange(ref cause, (int)why, -1) != -1) return;
        victim = forRun;
        // Finding its children takes a while, and who kills holds the pool's gate.
        ThreadPool.UnsafeQueueUserWorkItem(static worker => worker.KillTree(), this, preferLocal: false);
    }

    void KillTree()
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception or AggregateException)
        {
            // It has ended already.
        }
    }

    /// <summary>Bytes of memory that the process holds now; 0 when it is gone.</summary>
    public long ReadMemory() => memory.Read();

    /// <summary>Whatever still holds the socket when the process is gone must not keep its reader.</summary>
    async Task WatchExitAsync()
    {
        await process.WaitForExitAsync(CancellationToken.None);
        // What the pipes still hold are its last words; a child of its own may keep them open.
        await Task.WhenAny(drained, Task.Delay(ExitGrace, time));
        memory.Dispose();
        _ = CloseLaterAsync();
    }

    async Task CloseLaterAsync()
    {
        await Task.WhenAny(readerDone.Task, Task.Delay(ExitGrace, time));
        await stream.DisposeAsync();
        process.StandardOutput.Dispose();
        process.StandardError.Dispose();
    }

    async Task DrainAsync(Stream pipe, bool keep)
    {
        var buffer = new byte[TailBytes];
        try
        {
            while (await pipe.ReadAsync(buffer) is var read and > 0)
                if (keep) KeepTail(buffer.AsSpan(0, read));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            // Closed.
        }
    }

    void KeepTail(ReadOnlySpan<byte> words)
    {
        lock (stderrTail)
        {
            int keep = Math.Min(stderrLength, TailBytes - words.Length);
            stderrTail.AsSpan(stderrLength - keep, keep).CopyTo(stderrTail);
            words.CopyTo(stderrTail.AsSpan(keep));
            stderrLength = keep + words.Length;
        }
    }

    string Stderr()
    {
        lock (stderrTail) return Encoding.UTF8.GetString(stderrTail, 0, stderrLength);
    }

    string LastWords()
    {
        string[] lines = Stderr().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        // The line that names an error says most; it may stand far above the last.
        string? named = lines.LastOrDefault(line => line.Contains("Error: ", StringComparison.Ordinal) || line.Contains("FATAL ERROR", StringComparison.Ordinal));
        return lines.Length == 0 ? "" : ": " + (named ?? string.Join(" | ", lines.TakeLast(5)));
    }

    WorkerDeath Autopsy(string? broke)
    {
        int killed = Volatile.Read(ref cause), code = process.ExitCode;
        process.Dispose();
        if (killed >= 0) return new((WorkerCause)killed, broke ?? "", victim);
        Volatile.Write(ref cause, (int)WorkerCause.Exited);
        if (code != 0 && Stderr().Contains("JavaScript heap out of memory", StringComparison.Ordinal)) return new(WorkerCause.OutOfMemory, "", null);
        // The reason of a fatal error stands in its first lines, those of a crash in the last.
        string how = code switch
        {
            > 128 and < 160 when !OperatingSystem.IsWindows() => $"its process was killed by signal {code - 128}",
            _ => $"its process ended with code {code}",
        };
        return new(WorkerCause.Exited, how + LastWords(), null);
    }

    /// <summary>A run, a revocation or, when it has neither, the load.</summary>
    readonly record struct OutFrame(WorkerJob? Job, List<int>? Revoke);
}
