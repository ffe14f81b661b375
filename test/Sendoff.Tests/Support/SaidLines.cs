using System.Diagnostics;

namespace Sendoff.Tests.Support;

/// <summary>The output of a process so far, by line.</summary>
sealed class SaidLines
{
    readonly Lock gate = new();
    readonly List<string> lines = [];
    readonly List<(string Text, TaskCompletionSource<string> Came)> waiting = [];

    public static SaidLines Of(Process process)
    {
        var said = new SaidLines();
        said.Ended = Task.WhenAll(said.ReadAsync(process.StandardError), said.ReadAsync(process.StandardOutput));
        return said;
    }

    /// <summary>Completes when both of its pipes are closed.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (gate)
            {
                lines.Add(line);
                foreach (var (text, came) in waiting)
                    if (line.Contains(text, StringComparison.Ordinal))
                        came.TrySetResult(line);
            }
        }
    }

    /// <summary>The first line that contains the text.</summary>
    public Task<string> WaitForAsync(string text)
    {
        var came = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (gate)
        {
            if (lines.Find(line => line.Contains(text, StringComparison.Ordinal)) is { } line)
                came.SetResult(line);
            else
                waiting.Add((text, came));
        }
        return came.Task;
    }

    public override string ToString()
    {
        lock (gate)
            return string.Join('\n', lines);
    }
}

/// <summary>Signals of POSIX.</summary>
static class Signals
{
    /// <param name="name">The name, such as <c>TERM</c>.</param>
    public static void Send(int process, string name, bool toGroup = false) => Assert.True(TrySend(process, name, toGroup));

    /// <summary>Returns false if the process has ended.</summary>
    public static bool TrySend(int process, string name, bool toGroup = false)
    {
        using var kill = Process.Start("/bin/sh", ["-c", $"kill -s {name} -- {(toGroup ? "-" : "")}{process}"]);
        kill.WaitForExit();
        return kill.ExitCode == 0;
    }
}
