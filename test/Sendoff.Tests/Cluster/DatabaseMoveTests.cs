using System.Net.Http.Json;
using Npgsql;
using Sendoff.Engine;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Server.Auth;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Cluster;

/// <summary><c>sendoff migrate</c>: from SQLite to PostgreSQL.</summary>
public sealed class DatabaseMoveTests : IDisposable
{
    const string Token = "token-of-the-move-1";

    readonly TempFolder folder = new(),
        other = new();
    readonly string database = PostgresServer.Shared.NewEmptyDatabase();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        folder.Dispose();
        other.Dispose();
    }

    long Count(string sql)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        return (long)command.ExecuteScalar()!;
    }

    [Fact]
    public async Task A_server_on_the_copy_goes_on_where_the_one_before_has_stopped()
    {
        await using var sink = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        string[] settings = ["Workers:Warm=0", "Shutdown:Timeout=100ms"];
        await using (var first = await ServerProcess.StartAsync(folder.Path, Token, settings))
        {
            using (var secret = await first.Http.PutAsJsonAsync("/api/v1/secrets/KEPT", new { value = "kept-secret-value" }, Ct))
                Assert.True(secret.IsSuccessStatusCode, await secret.Content.ReadAsStringAsync(Ct));
            string hook = await first.DeployAsync(
                "orders",
                $"$send.http({{ method: 'POST', url: '{sink.Url}' + event.body.id, data: process.env.KEPT }})"
            );
            string slow = await first.DeployAsync(
                "slow",
                $"await fetch('{gate.Url}'); $send.http({{ method: 'POST', url: '{sink.Url}slow' }})"
            );
            foreach (string path in new[] { hook, slow })
                using (await first.Http.PostAsJsonAsync(path, new { id = "before" }, Ct)) { }
            await sink.WaitForRequestsAsync(1);
            await gate.WaitForRequestsAsync(1);
            Assert.Contains("in use by another Sendoff process", (await MigrateAsync()).Error);
            first.Signal("TERM");
            Assert.Equal(0, await first.EndAsync());
        }

        // It can be repeated.
        Assert.Equal(0, (await MigrateAsync()).ExitCode);
        var moved = await MigrateAsync();
        Assert.True(moved.ExitCode == 0, moved.Error);
        Assert.Contains("deliveries: 1 rows", moved.Output);
        gate.Release();

        string key = (await File.ReadAllTextAsync(Path.Combine(folder.Path, SecretKey.FileName), Ct)).Trim();
        await using var second = await ServerProcess.StartAsync(
            other.Path,
            Token,
            [.. settings, $"Database={database}", $"Secrets:Key={key}"]
        );
        await sink.WaitForRequestsAsync(1);
        using (await second.Http.PostAsJsonAsync("/hooks/orders", new { id = "after" }, Ct)) { }
        await sink.WaitForRequestsAsync(1);
        Assert.Equal(["/after", "/before", "/slow"], sink.Requests.Select(static request => request.Target).Order(StringComparer.Ordinal));
        Assert.Contains("kept-secret-value", System.Text.Encoding.UTF8.GetString(sink.Requests.Last().Body));
        await Wait.UntilAsync(() => Count("SELECT count(*) FROM runs WHERE status = 2") == 3);

        var refused = await MigrateAsync();
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("has already been used by a server", refused.Error);
    }

    Task<CommandResult> MigrateAsync() => SendoffCommand.RunAsync(["migrate", "--data", folder.Path, "--to", database]);

    [Fact]
    public void Every_table_of_SQLite_is_copied()
    {
        using (SqliteSource.Open(DatabaseState.PathIn(folder.Path), TimeProvider.System)) { }
        var copied = new List<string>();
        DatabaseMove.Run(folder.Path, database, TimeProvider.System, (table, _) => copied.Add(table));

        using var source = SqliteSource.Open(DatabaseState.PathIn(folder.Path), TimeProvider.System);
        var tables = source
            .Rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations'")
            .Select(static row => (string)row[0]!)
            .ToList();
        Assert.Empty(tables.Except(copied));
        foreach (string table in tables)
            Assert.Empty(source.Columns(table).Except(ColumnsOf(table)));
    }

    HashSet<string> ColumnsOf(string table)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(
            $"SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}'",
            connection
        );
        using var row = command.ExecuteReader();
        var names = new HashSet<string>();
        while (row.Read())
            names.Add(row.GetString(0));
        return names;
    }

    [Fact]
    public void A_folder_without_a_database_is_one_clear_line()
    {
        var error = Assert.Throws<StoreUnavailableException>(() =>
            DatabaseMove.Run(folder.Path, database, TimeProvider.System, (_, _) => { })
        );
        Assert.Contains("does not exist or is empty; set the data folder with --data", error.Message);
    }
}
