using System.CommandLine;
using Sendoff;
using Sendoff.Commands;
using Sendoff.Commands.Import;

RuntimeDiagnostics.Close();

var root = new RootCommand("Sendoff runs workflows of Node.js steps and sends their HTTP requests after each run, once, within five seconds.")
{
    ServeCommand.Build(),
    RunCommand.Build(),
    DeployCommand.Build(),
    ImportCommand.Build(),
    TypesCommand.Build(),
    WorkflowsCommand.Build(),
    RunsCommand.Build(),
    DeliveriesCommand.Build(),
    EventsCommand.Build(),
    SecretsCommand.Build(),
    TokensCommand.Build(),
    ExportCommand.Build(),
    StoresCommand.Build(),
    HoldCommand.Build(),
    ReceiveCommand.Build(),
    DoctorCommand.Build(),
};
ServeCommand.MakeDefault(root);

var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    string command = parsed.CommandResult.Command == root ? "" : parsed.CommandResult.Command.Name + " ";
    Output.Error($"{parsed.Errors[0].Message} Try `sendoff {command}--help`.");
    return ExitCode.Usage;
}
try
{
    return await parsed.InvokeAsync(new() { EnableDefaultExceptionHandler = false });
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
