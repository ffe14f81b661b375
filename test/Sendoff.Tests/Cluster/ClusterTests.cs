using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Cluster;

/// <summary>Several servers, as processes, on one PostgreSQL database.</summary>
public sealed class ClusterTests : IAsyncDisposable
{
    const string Token = "token-of-the-cluster-1";

    readonly string database = PostgresServer.Shared.NewDatabase();
    readonly List<TempFolder> folders = [];
    readonly List<ServerProcess> servers = [];

    async Task<ServerProcess> StartAsync(TempFolder? folder = null, params string[] settings)
    {
        if (folder is null)
            folders.Add(folder = new());
        string[] shared =
        [
            $"Database={database}",
            "Secrets:Key=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
            "Workers:Warm=0",
            "Delivery:Deadline=4s",
            "Servers:Lease=8s",
        ];
        var others = shared.ExceptBy(settings.Select(KeyOf), KeyOf);
        var server = await ServerProcess.StartAsync(folder.Path, Token, [.. others, .. settings]);
        servers.Add(server);
        return server;
    }

    static string KeyOf(string setting) => setting[..setting.IndexOf('=')];

    /// <summary>Returns the status, or 0 if the server cannot be reached now.</summary>
    static async Task<int> PostAsync(ServerProcess server, string path, object body)
    {
        try
        {
            using var response = await server.Http.PostAsJsonAsync(path, body);
            return (int)response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    long Count(string sql)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        return (long)command.ExecuteScalar()!;
    }

    Task UntilAsync(string sql, long expected) => Wait.UntilAsync(() => Count(sql) == expected);

    static string[] Targets(Sink sink) => [.. sink.Requests.Select(static request => request.Target).Order(StringComparer.Ordinal)];

    [Fact]
    public async Task What_one_server_deploys_the_others_serve_and_a_token_that_is_revoked_is_refused_by_all()
    {
        await using var sink = Sink.Start();
        var (first, second) = (await StartAsync(), await StartAsync());
        string hook = await first.DeployAsync("orders", $"$send.http({{ method: 'POST', url: '{sink.Url}' + event.body.id }})");
        await Wait.UntilAsync(async () => await PostAsync(second, hook, new { id = 1 }) == 200);
        await sink.WaitForRequestsAsync(1);

        using var made = await first.Http.PostAsJsonAsync("/api/v1/tokens", new { name = "reader", scope = "read" });
        using var token = JsonDocument.Parse(await made.Content.ReadAsStringAsync());
        using var reader = new HttpClient { BaseAddress = second.Http.BaseAddress };
        reader.DefaultRequestHeaders.Authorization = new("Bearer", token.RootElement.GetProperty("token").GetString());
        await Wait.UntilAsync(async () => await StatusAsync(reader) == HttpStatusCode.OK);
        using (await first.Http.DeleteAsync($"/api/v1/tokens/{token.RootElement.GetProperty("id").GetString()}")) { }
        await Wait.UntilAsync(async () => await StatusAsync(reader) == HttpStatusCode.Unauthorized);
    }

    /// <summary>Returns null if the connection was closed, as it is for a request under a token that is revoked meanwhile.</summary>
    static async Task<HttpStatusCode?> StatusAsync(HttpClient client)
    {
        try
        {
            using var response = await client.GetAsync("/api/v1/workflows");
            return response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    /// <summary>Deploys a step that waits for the gate and sends to the sink.</summary>
    static Task<string> DeploySlowAsync(ServerProcess server, Sink gate, Sink sink) =>
        server.DeployAsync("slow", $"await fetch('{gate.Url}step'); $send.http({{ method: 'POST', url: '{sink.Url}slow' }})");

    [Fact]
    public async Task Work_of_a_killed_server_is_done_by_another_one()
    {
        await using var gate = Sink.Start(hold: true);
        await using var sink = Sink.Start();
        var (first, second) = (await StartAsync(), await StartAsync());
        // One run waits in a step; one delivery is in flight, and one waits behind it for the same destination.
        string slow = await DeploySlowAsync(first, gate, sink);
        string sends = await first.DeployAsync(
            "sends",
            $"for (const id of [1, 2]) $send.http({{ method: 'POST', url: '{gate.Url}' + id }})"
        );
        Assert.Equal(200, await PostAsync(first, slow, new { }));
        await gate.WaitForRequestsAsync(1);
        Assert.Equal(200, await PostAsync(first, sends, new { }));
        await gate.WaitForRequestsAsync(2);
        first.Kill();

        await second.SaysAsync("Took over 1 runs");
        gate.Release();
        await sink.WaitForRequestsAsync(1);
        await UntilAsync("SELECT count(*) FROM queue", 0);
        await UntilAsync("SELECT count(*) FROM deliveries WHERE status IN (2, 3)", 0);

        // The step was repeated, its send was not.
        Assert.Equal(["/slow"], Targets(sink));
        Assert.Equal(["/1", "/2", "/step", "/step"], Targets(gate));
        Assert.Equal(2, Count("SELECT count(*) FROM deliveries WHERE status = 7"));
        Assert.Equal(1, Count("SELECT count(*) FROM runs WHERE flags % 2 = 1"));
    }

    [Fact]
    public async Task A_process_with_the_data_folder_of_a_killed_one_takes_its_work_at_once()
    {
        await using var gate = Sink.Start(hold: true);
        using var folder = new TempFolder();
        var first = await StartAsync(folder, "Servers:Lease=10m");
        string slow = await first.DeployAsync("slow", $"await fetch('{gate.Url}step')");
        Assert.Equal(200, await PostAsync(first, slow, new { }));
        await gate.WaitForRequestsAsync(1);
        first.Kill();
        await first.EndAsync();
        await StartAsync(folder);
        await gate.WaitForRequestsAsync(1);
        gate.Release();
        await UntilAsync("SELECT count(*) FROM runs WHERE status = 2", 1);
    }

    [Fact]
    public async Task A_server_that_was_frozen_longer_than_its_lease_sends_nothing_twice_and_joins_again()
    {
        await using var gate = Sink.Start(hold: true);
        await using var sink = Sink.Start();
        var (first, second) = (await StartAsync(), await StartAsync());
        string slow = await DeploySlowAsync(first, gate, sink);
        Assert.Equal(200, await PostAsync(first, slow, new { }));
        await gate.WaitForRequestsAsync(1);
        first.Signal("STOP");
        await second.SaysAsync("Took over 1 runs");
        await gate.WaitForRequestsAsync(1);
        gate.Release();
        await sink.WaitForRequestsAsync(1);
        first.Signal("CONT");

        await first.SaysAsync("It joins again");
        await Wait.UntilAsync(async () => await PostAsync(first, slow, new { }) == 200);
        await sink.WaitForRequestsAsync(1);
        await UntilAsync("SELECT count(*) FROM queue", 0);
        Assert.Equal(2, sink.Requests.Count);
        Assert.Equal(2, Count("SELECT count(*) FROM runs"));
    }

    [Fact]
    public async Task An_orderly_stop_leaves_its_waiting_work_to_the_others_at_once()
    {
        await using var gate = Sink.Start(hold: true);
        var first = await StartAsync(settings: ["Servers:Lease=10m", "Shutdown:Timeout=100ms"]);
        var second = await StartAsync(settings: ["Servers:Lease=10m"]);
        string slow = await first.DeployAsync("slow", $"await fetch('{gate.Url}step')");
        Assert.Equal(200, await PostAsync(first, slow, new { }));
        await gate.WaitForRequestsAsync(1);
        first.Signal("TERM");
        Assert.Equal(0, await first.EndAsync());
        await second.SaysAsync("Took over 1 runs");
        await gate.WaitForRequestsAsync(1);
        gate.Release();
        await UntilAsync("SELECT count(*) FROM queue", 0);
    }

    [Fact]
    public async Task A_workflow_with_a_limited_concurrency_runs_on_one_server_at_a_time()
    {
        await using var sink = Sink.Start(delay: TimeSpan.FromMilliseconds(30));
        var (first, second) = (await StartAsync(), await StartAsync());
        var files = new Dictionary<string, string>
        {
            ["workflow.yaml"] = """
                settings: { concurrency: 1 }
                triggers: [ { type: http, key: single } ]
                steps: [ { namespace: step, uses: ./step.js } ]
                """,
            ["step.js"] = $"await fetch('{sink.Url}begin'); await fetch('{sink.Url}end')",
        };
        using (
            var deployed = await first.Http.PutAsJsonAsync(
                "/api/v1/workflows/single",
                new DeployDocument(files),
                ApiJson.Default.DeployDocument
            )
        )
            Assert.True(deployed.IsSuccessStatusCode, await deployed.Content.ReadAsStringAsync());
        await Wait.UntilAsync(async () => await PostAsync(second, "/hooks/single", new { }) == 200);
        for (int i = 0; i < 10; i++)
            Assert.Equal(200, await PostAsync(i % 2 == 0 ? first : second, "/hooks/single", new { }));
        await UntilAsync("SELECT count(*) FROM runs", 11);

        Assert.Equal(
            Enumerable.Repeat(new[] { "/begin", "/end" }, 11).SelectMany(static pair => pair),
            sink.Requests.Select(static request => request.Target)
        );
    }

    [Fact]
    public async Task Events_and_sends_survive_a_restart_of_the_database()
    {
        using var own = PostgresServer.StartOwn();
        string database = own.NewEmptyDatabase();
        await using var sink = Sink.Start();
        var server = await StartAsync(settings: [$"Database={database}"]);
        string hook = await server.DeployAsync("orders", $"$send.http({{ method: 'POST', url: '{sink.Url}' + event.body.id }})");
        int acknowledged = 0;
        for (int i = 0; i < 60; i++)
        {
            if (i is 20 or 40)
            {
                own.Stop(i == 20 ? "fast" : "immediate");
                own.Start();
            }
            if (await PostAsync(server, hook, new { id = i }) == 200)
                acknowledged++;
        }
        await Wait.UntilAsync(async () => await PostAsync(server, hook, new { id = "last" }) == 200);
        await Wait.UntilAsync(() => Targets(sink).Contains("/last"));
        await Wait.UntilAsync(() => sink.Requests.Count >= acknowledged + 1);

        Assert.Equal(Targets(sink).Distinct(), Targets(sink));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in servers)
            await server.DisposeAsync();
        foreach (var folder in folders)
            folder.Dispose();
    }
}
