using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Sendoff.Engine.Workers;

/// <summary>The Node.js process of one worker: its start, its memory, its end and its last words.</summary>
internal sealed partial class WorkerProcess
{
    const int TailBytes = 4096;
    static readonly TimeSpan PipeGrace = TimeSpan.FromSeconds(1);

    readonly Process process;
    readonly bool endsWhole,
        isGroup;
    readonly TimeProvider time;
    ProcessMemory memory;
    readonly Task drained;
    readonly byte[] stderrTail = new byte[TailBytes];
    readonly Lock ending = new();
    int stderrLength,
        exitCode;
    bool gone,
        connected;

    /// <param name="endsWhole">Nothing outlives the process: nothing has to be looked for when it is killed.</param>
    /// <param name="isGroup">It leads a process group.</param>
    WorkerProcess(Process process, bool endsWhole, bool isGroup, TimeProvider time)
    {
        (this.process, this.endsWhole, this.isGroup, this.time) = (process, endsWhole, isGroup, time);
        Id = process.Id;
        memory = new(process, process.Id);
        drained = Task.WhenAll(
            DrainAsync(process.StandardOutput.BaseStream, keep: false),
            DrainAsync(process.StandardError.BaseStream, keep: true)
        );
        Ended = WatchAsync();
    }

    public int Id { get; }

    /// <summary>The process is gone and its last words are read.</summary>
    public Task Ended { get; }

    /// <exception cref="Win32Exception">It does not start.</exception>
    public static async Task<WorkerProcess> StartAsync(
        Sandbox sandbox,
        NodeBinary node,
        WorkerRoom room,
        string address,
        int memoryMb,
        TimeProvider time
    )
    {
        List<string> flags =
        [
            $"--max-old-space-size={memoryMb}",
            // Steps make short-lived objects: a young generation of 24 MiB serves them as well as V8's own, which costs a busy worker 60 MB
            // more.
            "--max-semi-space-size=8",
        ];
        // A step without package.json beside it is a module if it reads like one; since 22.7 Node.js does so by itself.
        if (node.Version < new Version(22, 7) && node.Version >= new Version(20, 10))
            flags.Add("--experimental-detect-module");
        var process = await WorkerLauncher.StartAsync(sandbox.Command(room, address, flags));
        process.StandardInput.Close();
        return new(process, sandbox.EndsWhole, sandbox.IsGroup, time);
    }

    /// <summary>The process that connected is the one whose memory counts: in a sandbox it is a child of the one that was
    /// started.</summary>
    public void Measure(int pid)
    {
        lock (ending)
        {
            connected = true;
            if (gone || pid == Id)
                return;
            memory.Dispose();
            memory = new(process, pid);
        }
    }

    /// <summary>Kills it and all that it started. Takes a while where its children have to be found: each process of the machine is looked
    /// at.</summary>
    public void Kill()
    {
        lock (ending)
        {
            if (gone)
                return;
            // While bubblewrap starts, its inner process is not bound to the outer one yet, and would wait for it for ever.
            if (endsWhole && (connected || isGroup))
                KillAlone(process);
            else
                KillAll(process);
            KillGroup();
        }
    }

    /// <summary>What the process started as its group. A process that was killed starts none, so that none is missed after it.</summary>
    void KillGroup()
    {
        if (isGroup)
            _ = Signal(-Id, Killed);
    }

    const int Killed = 9;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);

    /// <summary>Kills a process and all that it started. Never throws: where its children cannot be looked for, as without a file
    /// descriptor left, it goes alone.</summary>
    public static void KillAll(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception)
        {
            KillAlone(process);
        }
    }

    static void KillAlone(Process process)
    {
        try
        {
            process.Kill();
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or IOException)
        {
            // It has ended already.
        }
    }

    /// <summary>Bytes of memory that it holds now; 0 when it is gone.</summary>
    public long ReadMemory() => memory.Read();

    /// <summary>
    /// The one wait for the process's exit. <see cref="Process"/> adds and removes the handlers of its waits unguarded: a second wait that
    /// is given up at the moment at which another begins can take the other's handler with it, and that one then never ends.
    /// </summary>
    async Task WatchAsync()
    {
        await process.WaitForExitAsync(CancellationToken.None);
        KillGroup(); // somebody else may have killed it alone
        // What the pipes still hold are its last words; a child of its own may keep them open.
        await Task.WhenAny(drained, Task.Delay(PipeGrace, time));
        process.StandardOutput.Dispose();
        process.StandardError.Dispose();
        lock (ending)
        {
            memory.Dispose();
            gone = true;
            exitCode = process.ExitCode;
            process.Dispose();
        }
    }

    async Task DrainAsync(Stream pipe, bool keep)
    {
        var buffer = new byte[TailBytes];
        try
        {
            while (await pipe.ReadAsync(buffer) is var read and > 0)
                if (keep)
                    KeepTail(buffer.AsSpan(0, read));
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
        lock (stderrTail)
            return Encoding.UTF8.GetString(stderrTail, 0, stderrLength);
    }

    public string LastWords()
    {
        string[] lines = Stderr().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        // The line that names an error says most; it may stand far above the last.
        string? named = lines.LastOrDefault(line =>
            line.Contains("Error: ", StringComparison.Ordinal) || line.Contains("FATAL ERROR", StringComparison.Ordinal)
        );
        return lines.Length == 0 ? "" : ": " + (named ?? string.Join(" | ", lines.TakeLast(5)));
    }

    /// <summary>Why it ended, when nobody killed it.</summary>
    public WorkerDeath Autopsy()
    {
        if (exitCode != 0 && Stderr().Contains("JavaScript heap out of memory", StringComparison.Ordinal))
            return new(WorkerCause.OutOfMemory, "", null);
        // The reason of a fatal error stands in its first lines, those of a crash in the last.
        string how = exitCode switch
        {
            > 128 and < 160 when !OperatingSystem.IsWindows() => $"its process was killed by signal {exitCode - 128}",
            _ => $"its process ended with code {exitCode}",
        };
        return new(WorkerCause.Exited, how + LastWords(), null);
    }
}
