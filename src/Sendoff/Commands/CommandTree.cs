using System.CommandLine;
using Sendoff.Commands.Import;

namespace Sendoff.Commands;

/// <summary>All commands of <c>sendoff</c>.</summary>
static class CommandTree
{
    public static RootCommand Build()
    {
        var root = new RootCommand(
            "Sendoff runs workflows of Node.js steps. After each run, it sends their HTTP requests once, within five seconds."
        )
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
            AlertsCommand.Build(),
            AccountsCommand.Build(),
            ExportCommand.Build(),
            StoresCommand.Build(),
            ServersCommand.Build(),
            HoldCommand.Build(),
            MigrateCommand.Build(),
            ReceiveCommand.Build(),
            DoctorCommand.Build(),
        };
        ServeCommand.MakeDefault(root);
        return root;
    }
}
