using System.Net;
using System.Net.Http.Json;
using Npgsql;
using Sendoff.Commands;
using Sendoff.Engine.Cluster;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Cluster;

/// <summary>Servers that take only a part of the work (J8).</summary>
public sealed class RoleTests : IAsyncDisposable
{
    const string Respond = "export default { async run({ $ }) { $.respond({ status: 201 }); } };";

    readonly string database = PostgresServer.Shared.NewDatabase();
    readonly List<TestServer> servers = [];

    async Task<TestServer> StartAsync(ServerRoles roles, int mostQueued = 10_000)
    {
        var server = await TestServer.StartAsync(
            new() { ServerRoles = roles, RunsQueued = mostQueued },
            with: options => options with { Database = database }
        );
        servers.Add(server);
        return server;
    }

    static string Sending(Sink sink) =>
        $"export default {{ async run({{ $ }}) {{ $.send.http({{ method: 'POST', url: '{sink.Url}' }}); }} }};";

    static async Task<HttpStatusCode> PostAsync(TestServer server, string hook)
    {
        using var response = await server.Http.PostAsJsonAsync(hook, new { });
        return response.StatusCode;
    }

    long Count(string sql)
    {
        using var connection = new NpgsqlConnection(database + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        return (long)command.ExecuteScalar()!;
    }

    [Fact]
    public async Task Each_server_takes_only_the_work_of_its_roles()
    {
        await using var sink = Sink.Start();
        var ingest = await StartAsync(ServerRoles.Ingest);
        string hook = await ingest.DeployAsync("orders", Sending(sink));
        string respond = await ingest.DeployAsync("answers", Respond, response: "custom");
        var run = await StartAsync(ServerRoles.Run);
        await StartAsync(ServerRoles.Deliver);

        Assert.Equal(HttpStatusCode.OK, await PostAsync(ingest, hook));
        await sink.WaitForRequestsAsync(1);
        await Wait.UntilAsync(() => Count("SELECT count(*) FROM deliveries WHERE status = 4") == 1);
        // It was started once, so it was not recovered.
        Assert.Equal(1, Count("SELECT count(*) FROM runs WHERE flags = 0 AND status = 2"));
        Assert.Equal(
            [("ingest", true), ("run", false), ("deliver", false)],
            (await ingest.Get<ClusterWatch>().ListAsync(default)).Select(static one =>
                (string.Join(',', RoleNames.Of(one.Roles)), one.IsThis)
            )
        );

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await PostAsync(run, hook));
        using var refused = await ingest.Http.PostAsJsonAsync(respond, new { });
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Contains("send the request to a server with the roles ingest and run", await refused.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_resend_by_hand_at_a_server_without_deliveries_is_sent_by_another_one()
    {
        await using var sink = Sink.Start();
        var first = await StartAsync(ServerRoles.All);
        string run = await first.PostAsync(await first.DeployAsync("orders", Sending(sink)));
        var delivery = (await first.EndOfAsync(run)).Steps.Single().Deliveries.Single();
        var second = await StartAsync(ServerRoles.Ingest);

        using var resent = await second.Http.PostAsync($"/api/v1/deliveries/{delivery.Id}/resend", null);
        Assert.True(resent.IsSuccessStatusCode, await resent.Content.ReadAsStringAsync());
        await sink.WaitForRequestsAsync(2);
    }

    [Fact]
    public async Task A_server_without_runs_refuses_events_when_too_many_of_them_wait()
    {
        var ingest = await StartAsync(ServerRoles.Ingest, mostQueued: 2);
        string hook = await ingest.DeployAsync("orders", "export default { async run() {} };");
        Assert.Equal(HttpStatusCode.OK, await PostAsync(ingest, hook));
        Assert.Equal(HttpStatusCode.OK, await PostAsync(ingest, hook));
        Assert.Equal(HttpStatusCode.TooManyRequests, await PostAsync(ingest, hook));
        await StartAsync(ServerRoles.Run);
        await Wait.UntilAsync(() => Count("SELECT count(*) FROM runs") == 2);
        await Wait.UntilAsync(async () => await PostAsync(ingest, hook) == HttpStatusCode.OK);
    }

    [Fact]
    public async Task Work_that_no_server_takes_is_named_in_the_readiness_and_by_doctor()
    {
        var ingest = await StartAsync(ServerRoles.Ingest);
        const string Says = "no server has the role run or deliver (setting Servers:Roles), so this work waits";
        var ready = await ingest.Http.GetFromJsonAsync("/healthz/ready", ApiJson.Default.HealthDocument);
        Assert.Equal(Says, ready!.Warning);
        Assert.Equal(Says, SharedDatabase.Look(database).Warning);
        Assert.Contains(Says, await ingest.Http.GetStringAsync("/servers"));
        await StartAsync(ServerRoles.Run | ServerRoles.Deliver);
        await Wait.UntilAsync(() => ingest.Get<ClusterWatch>().WhatWaits is null);
        Assert.Null(SharedDatabase.Look(database).Warning);
    }

    [Theory]
    [InlineData("ingest", ServerRoles.Ingest)]
    [InlineData("run, deliver", ServerRoles.Run | ServerRoles.Deliver)]
    [InlineData("ingest,run,deliver", ServerRoles.All)]
    public void Roles_are_read_from_their_names(string list, ServerRoles expected) => Assert.Equal(expected, RoleNames.Read(list));

    [Theory]
    [InlineData("ingest", "Host=a;Database=b", null)]
    [InlineData("ingest,run,deliver", "sqlite", null)]
    [InlineData("ingest", "sqlite", "with SQLite there is one server, which has all roles")]
    public void Roles_are_for_servers_that_share_a_database(string roles, string database, string? error)
    {
        var (settings, _) = Settings.Read(
            [
                new("Servers:Roles", roles),
                new("Database", database),
                new("Auth:Token", "token-of-the-cluster-1"),
                new("Secrets:Key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
            ],
            development: false
        );
        var refused = Record.Exception(() => ServeCommand.RequireForDatabase(settings));
        if (error is null)
            Assert.Null(refused);
        else
            Assert.EndsWith(error, Assert.IsType<CommandException>(refused).Message, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in servers)
            await server.DisposeAsync();
    }
}
