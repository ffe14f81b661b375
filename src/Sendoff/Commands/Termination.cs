using System.Runtime.InteropServices;

namespace Sendoff.Commands;

/// <summary> Handles Ctrl+C, SIGTERM, SIGQUIT and SIGHUP. The first signal asks the command to stop. A second one, more than a second
/// later, ends the process immediately. For a server without a terminal, SIGHUP means to reload the certificate, as service managers use
/// it; for other processes, it means that the terminal was closed. </summary>
sealed class Termination : IDisposable
{
    // One signal may arrive twice: `timeout` and systemd signal every process of a group, and `dotnet run` forwards signals.
    static readonly TimeSpan echo = TimeSpan.FromSeconds(1);

    // A command may wait for something that cannot be cancelled, such as a terminal's input.
    static readonly TimeSpan grace = TimeSpan.FromSeconds(2);
    static bool shutsDownInOrder;
    static Action? onReload;

    readonly Lock gate = new();
    readonly CancellationTokenSource requested = new();
    readonly PosixSignalRegistration[] registrations;
    long requestedAt;
    int exitCode;

    public Termination() =>
        registrations = [
            .. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGQUIT, PosixSignal.SIGHUP }.Select(s =>
                PosixSignalRegistration.Create(s, OnSignal)
            ),
        ];

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Requested => requested.Token;

    /// <summary>128 plus the number of the signal, as in shells; 0 without a signal.</summary>
    public int SignalExitCode => Volatile.Read(ref exitCode);

    /// <summary>The command limits its own shutdown. Other commands are ended 2 s after the signal.</summary>
    public static void ShutsDownInOrder() => Volatile.Write(ref shutsDownInOrder, true);

    /// <summary>The action of SIGHUP in a process without a terminal.</summary>
    public static void ReloadsBy(Action reload) => Volatile.Write(ref onReload, reload);

    void OnSignal(PosixSignalContext context)
    {
        if (context.Signal == PosixSignal.SIGHUP && Console.IsInputRedirected && Volatile.Read(ref onReload) is { } reload)
        {
            context.Cancel = true;
            reload();
            return;
        }
        lock (gate)
        {
            bool isFirst = exitCode == 0;
            if (isFirst)
                (requestedAt, exitCode) = (TimeProvider.System.GetTimestamp(), 128 + NumberOf(context.Signal));
            // Without Cancel, the runtime applies the signal's default: the process ends.
            context.Cancel = isFirst || TimeProvider.System.GetElapsedTime(requestedAt) < echo;
            if (!isFirst)
                return;
        }
        if (!Volatile.Read(ref shutsDownInOrder))
            _ = EndLateAsync();
        requested.Cancel();
    }

    async Task EndLateAsync()
    {
        await Task.Delay(grace, TimeProvider.System, CancellationToken.None).ConfigureAwait(false);
        if (Volatile.Read(ref shutsDownInOrder))
            return;
        Output.Error(Interrupted);
        Environment.Exit(exitCode);
    }

    /// <summary>The message of an interrupted command.</summary>
    public const string Interrupted = "interrupted";

    static int NumberOf(PosixSignal signal) =>
        signal switch
        {
            PosixSignal.SIGHUP => 1,
            PosixSignal.SIGINT => 2,
            PosixSignal.SIGQUIT => 3,
            _ => 15,
        };

    public void Dispose()
    {
        foreach (var registration in registrations)
            registration.Dispose();
        requested.Dispose();
    }
}
