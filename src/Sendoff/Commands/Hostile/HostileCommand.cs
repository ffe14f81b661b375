using System.Globalization;
using System.Net.Sockets;
using Spectre.Console;

namespace Sendoff.Commands.Hostile;

/// <summary><c>sendoff receive --hostile</c>: prints the URLs, and each request when it arrives.</summary>
static class HostileCommand
{
    /// <param name="authority">Path of a file to which the authority's certificate is written, so that it can be trusted; null for
    /// none.</param>
    /// <param name="count">The receiver ends after this number of requests.</param>
    public static async Task<int> RunAsync(int port, string? authority, int count, CancellationToken ct)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var printing = new Lock();
        int seen = 0;
        // A behaviour with a host name requires a resolver that knows the name.
        var offered = HostileBehaviours.All.Where(behaviour => behaviour.Host is null).ToList();
        await using var receiver = Start(
            offered,
            port,
            head =>
            {
                lock (printing)
                    Print(head, ++seen);
                if (seen >= count)
                    enough.CancelAfter(TimeSpan.FromMilliseconds(50));
            }
        );
        if (authority is not null)
            await WriteAsync(authority, receiver.AuthorityPem, ct);

        PrintList(receiver, offered);
        Output.Progress.MarkupLine("Press Ctrl+C to stop");
        try
        {
            await Task.Delay(Timeout.Infinite, enough.Token);
        }
        catch (OperationCanceledException)
        {
            // The command was stopped.
        }
        return ExitCode.Ok;
    }

    static async Task WriteAsync(string file, string text, CancellationToken ct)
    {
        try
        {
            await File.WriteAllTextAsync(file, text, ct);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"--authority {file} cannot be written: {x.Message}", ExitCode.Usage);
        }
    }

    static HostileReceiver Start(IReadOnlyList<HostileBehaviour> offered, int port, Action<string> onRequest)
    {
        try
        {
            return HostileReceiver.Start(offered, port, onRequest);
        }
        catch (Exception x) when (x is SocketException or ArgumentOutOfRangeException)
        {
            int last = port + offered.Count(behaviour => behaviour.Listener is not null);
            throw new CommandException(
                $"cannot listen on ports {port} to {last} of 127.0.0.1: {x.Message}; choose another --port",
                ExitCode.Usage
            );
        }
    }

    static void PrintList(HostileReceiver receiver, IReadOnlyList<HostileBehaviour> offered)
    {
        int width = offered.Max(behaviour => receiver.UrlOf(behaviour).Length);
        foreach (var group in HostileBehaviours.Groups)
        {
            Output.Console.MarkupLineInterpolated($"[bold]{group.Title}[/]");
            foreach (var behaviour in group.Behaviours.Where(offered.Contains))
                Output.Console.MarkupLineInterpolated($"  {receiver.UrlOf(behaviour).PadRight(width)}  {behaviour.Does}");
        }
        Output.Console.WriteLine();
    }

    static void Print(string head, int number)
    {
        string time = TimeProvider.System.GetLocalNow().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);
        string[] lines = head.TrimEnd().Split("\r\n");
        Output.Console.MarkupLineInterpolated($"[grey]{time}  #{number}[/]  [bold]{lines[0]}[/]");
        foreach (string line in lines.Skip(1))
            Output.Console.MarkupLineInterpolated($"  [grey]{line}[/]");
        Output.Console.WriteLine();
    }
}
