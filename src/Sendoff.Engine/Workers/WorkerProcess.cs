using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Sendoff.Engine.Workers;

/// <summary>The Node.js process of one worker: its start, memory, end and error output.</summary>
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

    /// <param name="endsWhole">No child process survives the process, so a kill needs no search.</param>
    /// <param name="isGroup">It is the leader of a process group.</param>
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

    /// <summary>Completes when the process has ended and its output has been read.</summary>
    public Task Ended { get; }

    /// <exception cref="Win32Exception">It cannot start.</exception>
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
            // Steps create short-lived objects: a young generation of 24 MiB is as fast as V8's default, which needs 60 MB more in a busy
            // worker.
            "--max-semi-space-size=8",
        ];
        // A step without package.json is a module if it has module syntax; the default since Node.js 22.7.
        if (node.Version < new Version(22, 7) && node.Version >= new Version(20, 10))
            flags.Add("--experimental-detect-module");
        var process = await WorkerLauncher.StartAsync(sandbox.Command(room, address, flags));
        process.StandardInput.Close();
        return new(process, sandbox.EndsWhole, sandbox.IsGroup, time);
    }

    /// <summary>Memory is measured for the process that connected: in a sandbox, it is a child of the started process.</summary>
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

    /// <summary>Kills it and its children. Slow if its children must be found, because all processes of the machine are checked.</summary>
    public void Kill()
    {
        lock (ending)
        {
            if (gone)
                return;
            // While bubblewrap starts, its inner process is not tied to the outer one and would wait forever.
            if (endsWhole && (connected || isGroup))
                KillAlone(process);
            else
                KillAll(process);
            KillGroup();
        }
    }

    /// <summary>The processes of its group. A killed process starts no others, so none is missed.</summary>
    void KillGroup()
    {
        if (isGroup)
            _ = Signal(-Id, Killed);
    }

    const int Killed = 9;

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);

    /// <summary>Kills a process and its children. Never throws: if its children cannot be found, for example without file descriptors, only
    /// the process is killed.</summary>
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

    /// <summary>Current memory in bytes; 0 if it has ended.</summary>
    public long ReadMemory() => memory.Read();

    /// <summary>The only wait for the process's exit. <see cref="Process"/> adds and removes wait handlers without a lock: cancelling one
    /// wait while another begins can remove the other's handler, which then never completes.</summary>
    async Task WatchAsync()
    {
        await process.WaitForExitAsync(CancellationToken.None);
        KillGroup(); // another process may have killed it
        // Read the remaining output; a child process may keep the pipes open.
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
            // The pipe was closed.
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
        // The most useful line is the one with the error, which may be far above the last.
        string? named = lines.LastOrDefault(line =>
            line.Contains("Error: ", StringComparison.Ordinal) || line.Contains("FATAL ERROR", StringComparison.Ordinal)
        );
        return lines.Length == 0 ? "" : ": " + (named ?? string.Join(" | ", lines.TakeLast(5)));
    }

    /// <summary>The reason for its end, if it was not killed.</summary>
    public WorkerDeath Autopsy()
    {
        if (exitCode != 0 && Stderr().Contains("JavaScript heap out of memory", StringComparison.Ordinal))
            return new(WorkerCause.OutOfMemory, "", null);
        // The reason of a fatal error is in the first lines, that of a crash in the last.
        string how = exitCode switch
        {
            > 128 and < 160 when !OperatingSystem.IsWindows() => $"its process was killed by signal {exitCode - 128}",
            _ => $"its process ended with code {exitCode}",
        };
        return new(WorkerCause.Exited, how + LastWords(), null);
    }
}
