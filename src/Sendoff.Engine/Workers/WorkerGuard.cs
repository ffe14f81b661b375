using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>A shell beside the server that kills what workers there are when the server is gone, also when it was killed.</summary>
/// <remarks>
/// A worker sees the end of its socket by itself, unless it is in a synchronous loop. The system closes the pipe to the shell however the
/// server ends; the shell knows the workers by then. One for all of them: it costs a worker nothing. Windows has no such shell.
/// </remarks>
internal sealed class WorkerGuard(ILogger log) : IAsyncDisposable
{
    // Ctrl+C and the end of a session reach the whole group: the guard stays until the server is gone.
    const string Script = """
        trap '' HUP INT TERM
        exec >/dev/null 2>&1
        cd /
        pids=
        while read -r sign pid; do
          case $sign in
            +) pids="$pids $pid" ;;
            -) kept=; for other in $pids; do [ "$other" = "$pid" ] || kept="$kept $other"; done; pids=$kept ;;
          esac
        done
        for pid in $pids; do
          kill -9 "$pid"
          kill -9 -- "-$pid"
        done
        """;

    readonly Lock gate = new();
    readonly HashSet<int> watched = [];
    Process? shell;
    bool unavailable = OperatingSystem.IsWindows();

    internal int? ShellId
    {
        get
        {
            lock (gate)
                return shell?.Id;
        }
    }

    /// <summary>Kills the process, should the server be gone before it.</summary>
    public void Watch(WorkerProcess process)
    {
        lock (gate)
        {
            watched.Add(process.Id);
            Tell($"+ {process.Id}");
        }
        _ = ForgetAsync(process);
    }

    async Task ForgetAsync(WorkerProcess process)
    {
        await process.Ended;
        lock (gate)
        {
            watched.Remove(process.Id);
            Tell($"- {process.Id}");
        }
    }

    void Tell(string line)
    {
        if (unavailable)
            return;
        try
        {
            if (shell is null)
                Start();
            else
                shell.StandardInput.WriteLine(line);
        }
        catch (IOException)
        {
            // Somebody has killed it: the next one knows all.
            shell!.Dispose();
            shell = null;
            if (watched.Count > 0)
                Start();
        }
    }

    void Start()
    {
        try
        {
            var start = new ProcessStartInfo("/bin/sh", ["-c", Script]) { RedirectStandardInput = true, UseShellExecute = false };
            start.Environment.Clear();
            shell = Process.Start(start)!;
            shell.StandardInput.AutoFlush = true;
            foreach (int pid in watched)
                shell.StandardInput.WriteLine($"+ {pid}");
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException or IOException)
        {
            unavailable = true;
            log.WorkersUnguarded(e.Message);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Process? last;
        lock (gate)
        {
            (last, shell, unavailable) = (shell, null, true);
        }
        if (last is null)
            return;
        try
        {
            last.StandardInput.Dispose();
        }
        catch (IOException)
        {
            // It is gone.
        }
        await last.WaitForExitAsync(CancellationToken.None);
        last.Dispose();
    }
}
