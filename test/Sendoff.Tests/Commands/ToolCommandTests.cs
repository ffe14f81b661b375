using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Server;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Export and resend as people call them.</summary>
public sealed class ToolCommandTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    Task<CommandResult> CallAsync(params string[] args) => SendoffCommand.RunAsync([.. args, "--server", server.Address.ToString(), "--token", TestServer.Token]);

    [Fact]
    public async Task A_run_is_exported_to_a_file_and_a_delivery_to_standard_output()
    {
        using var folder = new TempFolder();
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server)).ToString());
        string delivery = run.Steps[1].Deliveries[0].Id, file = Path.Combine(folder.Path, "run.har");

        var har = await CallAsync("export", "har", run.Id, "-o", file);
        var curl = await CallAsync("export", "curl", delivery);

        Assert.Equal((0, "", ""), (har.ExitCode, har.Output, har.Error));
        Assert.Equal(3, JsonElement.Parse(await File.ReadAllTextAsync(file)).GetProperty("log").GetProperty("entries").GetArrayLength());
        Assert.Equal(0, curl.ExitCode);
        Assert.StartsWith($"# {delivery}\ncurl 'https://crm.example.com/contacts'", curl.Output);
    }

    [Theory]
    [InlineData("evt_0000000000001", "neither a run (run_…) nor a delivery")]
    [InlineData("run_0000000000001", "There is no run")]
    [InlineData("dlv_oops", "is not the id of a delivery")]
    public async Task An_export_of_what_is_not_there_ends_with_2(string id, string says)
    {
        var result = await CallAsync("export", "har", id);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(says, result.Error);
    }

    [Fact]
    public async Task Deliveries_are_resent_by_id_and_what_is_skipped_says_why()
    {
        await using var receiver = Sink.Start(status: 500);
        var run = await server.RunAsync(await server.DeployAsync("byid", $"for (let i = 0; i < 3; i++) $send.http({{ method: 'GET', url: '{receiver.Url}' + i }});", "step.js"));
        string[] ids = [.. run.Steps[0].Deliveries.Select(d => d.Id)];

        var both = await CallAsync("deliveries", "resend", ids[0], ids[2]);
        var one = await CallAsync("deliveries", "resend", ids[1]);
        var unknown = await CallAsync("deliveries", "resend", "dlv_0000000000001", ids[1]);

        Assert.Equal((0, $"Resent {ids[0]}\nResent {ids[2]}\n2 resent, 0 skipped\n", ""), (both.ExitCode, both.Output, both.Error));
        Assert.Equal((0, $"Resent {ids[1]}\n"), (one.ExitCode, one.Output));
        Assert.Equal((2, $"Resent {ids[1]}\nSkipped dlv_0000000000001: there is no such delivery\n1 resent, 1 skipped\n"), (unknown.ExitCode, unknown.Output));
        await receiver.WaitForRequestsAsync(7);
    }

    [Fact]
    public async Task Deliveries_are_resent_by_filter()
    {
        await using var receiver = Sink.Start(status: 500);
        var run = await server.RunAsync(await server.DeployAsync("filtered", $"$send.http({{ method: 'GET', url: '{receiver.Url}wanted' }}); $send.http({{ method: 'GET', url: '{receiver.Url}other' }});", "step.js"));
        string host = receiver.Url["http://".Length..^1];

        var found = await CallAsync("deliveries", "resend", "--workflow", "filtered", "--status", "failed", "--host", host, "--since", "1h", "--url", "wanted");
        var none = await CallAsync("deliveries", "resend", "--workflow", "filtered", "--until", "1d");
        await server.EndOfAsync(run.Id);
        var json = await CallAsync("deliveries", "resend", "--workflow", "filtered", "--json");

        Assert.Equal((0, $"Resent {run.Steps[0].Deliveries[0].Id}\n"), (found.ExitCode, found.Output));
        Assert.Equal((0, "0 resent, 0 skipped\n"), (none.ExitCode, none.Output));
        var answer = JsonSerializer.Deserialize(json.Output, ApiJson.Default.ResendDocument)!;
        Assert.Equal((2, false), (answer.Resent, answer.More));
        Assert.Equal(run.Steps[0].Deliveries.Select(d => d.Id), answer.Ids);
        await receiver.WaitForRequestsAsync(5);
    }

    [Theory]
    [InlineData("resend", "give ids, or a filter")]
    [InlineData("resend dlv_0000000000001 --status failed", "give ids, or a filter")]
    [InlineData("resend --status broken", "'status' is 'broken'")]
    [InlineData("resend --since yesterday", "'since' is 'yesterday'")]
    [InlineData("resend nonsense", "is not the id of a delivery")]
    [InlineData("resend --status captured", "no filter resends them")]
    [InlineData("resend --captured --status failed", "--captured takes one id")]
    [InlineData("resend dlv_0000000000001 dlv_0000000000002 --captured", "--captured takes one id")]
    public async Task A_resend_that_is_unclear_sends_nothing_and_ends_with_2(string args, string says)
    {
        var result = await CallAsync(["deliveries", .. args.Split(' ')]);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(says, result.Error);
    }

    [Fact]
    public async Task Values_of_data_stores_are_set_listed_printed_and_deleted()
    {
        var set = await CallAsync("stores", "set", "orders", "o-1", "{\"n\":1}");
        var list = await CallAsync("stores", "list", "orders");
        var get = await CallAsync("stores", "get", "orders", "o-1");
        var delete = await CallAsync("stores", "delete", "orders", "o-1");
        var gone = await CallAsync("stores", "get", "orders", "o-1");
        var wrong = await CallAsync("stores", "set", "orders", "o-1", "{oops");

        Assert.Equal((0, 0, 0, 0), (set.ExitCode, list.ExitCode, get.ExitCode, delete.ExitCode));
        Assert.Contains("o-1", list.Output);
        Assert.Equal("{\"n\":1}", get.Output.Trim());
        Assert.Equal((2, 2), (gone.ExitCode, wrong.ExitCode));
        Assert.Contains("JSON", wrong.Error);
    }
}
