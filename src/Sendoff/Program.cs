using Sendoff;
using Sendoff.Commands;

RuntimeDiagnostics.Close();

var root = CommandTree.Build();
var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    Output.Error(UsageError.Of(parsed));
    return ExitCode.Usage;
}
using var termination = new Termination();
try
{
    // Without a termination timeout, System.CommandLine does not handle signals.
    return await parsed.InvokeAsync(
        new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null },
        termination.Requested
    );
}
catch (OperationCanceledException) when (termination.Requested.IsCancellationRequested)
{
    Output.Error(Termination.Interrupted);
    return termination.SignalExitCode;
}
catch (CommandException x)
{
    Output.Error(x.Message);
    return x.ExitCode;
}
catch (Exception x) when (x is SettingsException or InvalidDataException)
{
    Output.Error(x.Message);
    return ExitCode.Usage;
}
catch (IOException x) when (x.HResult == Output.BrokenPipe)
{
    return ExitCode.OutputClosed;
}
catch (Exception x)
{
    Output.Error($"internal error: {x.GetType().Name}: {x.Message} {x.StackTrace?.Split('\n')[0].Trim()}");
    return ExitCode.Fault;
}
