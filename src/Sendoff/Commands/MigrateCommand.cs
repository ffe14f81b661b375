using System.CommandLine;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;
using Sendoff.Server.Auth;

namespace Sendoff.Commands;

/// <summary><c>sendoff migrate --to CONNECTION</c>: copies a SQLite database to PostgreSQL.</summary>
static class MigrateCommand
{
    static readonly Option<string> to = new("--to")
    {
        Description = "The PostgreSQL database, such as \"Host=…;Database=…;Username=…;Password=…\"",
        Required = true,
    };
    static readonly Option<string> data = new("--data")
    {
        Description = "The data folder with the SQLite database (default: .sendoff)",
        DefaultValueFactory = static _ => ".sendoff",
    };

    public static Command Build()
    {
        var command = new Command("migrate", "Copy the SQLite database of a stopped server to PostgreSQL") { to, data };
        command.SetAction(parsed => Migrate(parsed.GetValue(data)!, parsed.GetValue(to)!));
        return command;
    }

    static int Migrate(string folder, string target)
    {
        try
        {
            DatabaseMove.Run(folder, target, TimeProvider.System, static (table, rows) => Output.Result($"{table}: {rows:N0} rows"));
        }
        catch (StoreUnavailableException x)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
        Output.Result(
            $"copied. Start the servers with Database, and with the key in {Path.Combine(folder, SecretKey.FileName)} as Secrets:Key"
        );
        return ExitCode.Ok;
    }
}
