using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Sendoff.Engine.Workers;

/// <summary>A shell process that kills the workers when the server ends, also if the server was killed.</summary>
/// <remarks>A worker detects the end of its socket, except in a synchronous loop. The system closes the pipe to the shell when the server
/// ends for any reason; the shell then kills the workers that it knows. There is one shell for all workers. Windows has none.</remarks>
internal sealed class WorkerGuard(ILogger log) : IAsyncDisposable
{
    // Ctrl+C and the end of a terminal session signal the whole group. The guard ignores these signals until the server has ended.
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

    /// <summary>Kills the process if the server ends first.</summary>
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
            // The shell was killed: the next one gets all workers.
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
            // The process has ended.
        }
        await last.WaitForExitAsync(CancellationToken.None);
        last.Dispose();
    }
}
