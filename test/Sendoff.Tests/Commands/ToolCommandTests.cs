using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Server;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Export and resend as people call them.</summary>
public sealed class ToolCommandTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    Task<CommandResult> CallAsync(params string[] args) =>
        SendoffCommand.RunAsync([.. args, "--server", server.Address.ToString(), "--token", TestServer.Token]);

    [Fact]
    public async Task A_run_is_exported_to_a_file_and_a_delivery_to_standard_output()
    {
        using var folder = new TempFolder();
        var run = await server.GetRunAsync((await SampleRuns.AddAsync(server)).ToString());
        string delivery = run.Steps[1].Deliveries[0].Id,
            file = Path.Combine(folder.Path, "run.har");

        var har = await CallAsync("export", "har", run.Id, "-o", file);
        var curl = await CallAsync("export", "curl", delivery);

        Assert.Equal((0, "", ""), (har.ExitCode, har.Output, har.Error));
        Assert.Equal(3, JsonElement.Parse(await File.ReadAllTextAsync(file)).GetProperty("log").GetProperty("entries").GetArrayLength());
        Assert.Equal(0, curl.ExitCode);
        Assert.StartsWith($"# {delivery}\ncurl 'https://crm.example.com/contacts'", curl.Output);
    }

    [Fact]
    public async Task Workflows_are_listed_with_all_their_triggers_and_a_deploy_shows_the_schedule_and_when_it_is_due()
    {
        using var folder = new TempFolder();
        File.WriteAllText(Path.Combine(folder.Path, "step.js"), "return 1");
        File.WriteAllText(
            Path.Combine(folder.Path, "workflow.yaml"),
            """
            triggers:
              - { type: http, key: many-ways }
              - { type: schedule, cron: "0 7 * * *", timezone: Europe/Berlin }
              - { type: schedule, every: 90m }
            steps: [ { namespace: step, uses: ./step.js } ]
            """
        );
        var deployed = await CallAsync("deploy", folder.Path, "--name", "many-ways");
        var list = await CallAsync("workflows", "list");

        Assert.Matches(
            @"http  http://.*/hooks/many-ways\n  schedule  0 7 \* \* \*, Europe/Berlin\n    next due .*\n"
                + @"  schedule  every 90m\n    next due ",
            deployed.Output
        );
        Assert.Matches(
            @"many-ways +1 +yes +http://\S*/hooks/many-ways; 0 7 \* \* \*, Europe/Berlin, next due .*; every 90m, next due ",
            list.Output
        );
    }

    [Theory]
    [
        InlineData("workflows", "--status"),
        InlineData("tokens", "--workflow"),
        InlineData("events", "--status"),
        InlineData("tokens", "--limit")
    ]
    public async Task A_list_refuses_an_option_that_would_change_nothing(string list, string option)
    {
        var result = await CallAsync(list, "list", option, "1");

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(option, result.Error);
    }

    [Fact]
    public async Task A_deploy_says_each_problem_once()
    {
        using var folder = new TempFolder();
        File.WriteAllText(Path.Combine(folder.Path, "step.js"), "const x = ;");
        File.WriteAllText(Path.Combine(folder.Path, "workflow.yaml"), "steps: [ { namespace: step, uses: ./step.js } ]");

        var result = await CallAsync("deploy", folder.Path, "--name", "broken");

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Equal(2, result.Error.Split("SyntaxError").Length);
        Assert.EndsWith("sendoff: Not deployed: 1 error, see above\n", result.Error);
    }

    [Fact]
    public async Task The_newest_run_and_delivery_are_shown_without_an_id()
    {
        var older = await server.RunAsync(await server.DeployAsync("older", "console.log('the older one')", "step.js"));
        var newer = await server.RunAsync(await server.DeployAsync("newer", "console.log('the newer one')", "step.js"));

        var last = await CallAsync("runs", "show", "--last", "--json");
        var ofWorkflow = await CallAsync("runs", "show", "--last", "--workflow", "older");
        var none = await CallAsync("deliveries", "show", "--last", "--workflow", "older");

        Assert.Equal(newer.Id, JsonElement.Parse(last.Output).GetProperty("id").GetString());
        Assert.Contains("the older one", ofWorkflow.Output);
        Assert.NotEqual(older.Id, newer.Id);
        Assert.Equal((2, "", "sendoff: there are none yet of the workflow older\n"), (none.ExitCode, none.Output, none.Error));
    }

    /// <summary>As in <c>{ sendoff …; sendoff …; } > file</c>.</summary>
    [Fact]
    public async Task Commands_that_print_into_one_file_do_not_write_over_one_another()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the shell is POSIX's");
        using var folder = new TempFolder();
        string file = Path.Combine(folder.Path, "out");
        var info = SendoffCommand.Info();
        string program = info.ArgumentList[0];
        info.FileName = "sh";
        info.ArgumentList.Clear();
        foreach (
            string arg in (string[])
                [
                    "-c",
                    "{ dotnet \"$0\" hold show --server \"$1\" --token \"$2\"; echo end; } > \"$3\"",
                    program,
                    server.Address.ToString(),
                    TestServer.Token,
                    file,
                ]
        )
            info.ArgumentList.Add(arg);
        using var shell = System.Diagnostics.Process.Start(info)!;
        await shell.WaitForExitAsync(Wait.Token);

        string[] lines = await File.ReadAllLinesAsync(file);
        Assert.Equal(["not on hold", "end"], lines);
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
        var run = await server.RunAsync(
            await server.DeployAsync(
                "byid",
                $"for (let i = 0; i < 3; i++) $send.http({{ method: 'GET', url: '{receiver.Url}' + i }});",
                "step.js"
            )
        );
        string[] ids = [.. run.Steps[0].Deliveries.Select(d => d.Id)];

        var both = await CallAsync("deliveries", "resend", ids[0], ids[2]);
        var one = await CallAsync("deliveries", "resend", ids[1]);
        var unknown = await CallAsync("deliveries", "resend", "dlv_0000000000001", ids[1]);

        Assert.Equal((0, $"Resent {ids[0]}\nResent {ids[2]}\n2 resent, 0 skipped\n", ""), (both.ExitCode, both.Output, both.Error));
        Assert.Equal((0, $"Resent {ids[1]}\n"), (one.ExitCode, one.Output));
        Assert.Equal(
            (2, $"Resent {ids[1]}\nSkipped dlv_0000000000001: it does not exist\n1 resent, 1 skipped\n"),
            (unknown.ExitCode, unknown.Output)
        );
        await receiver.WaitForRequestsAsync(7);
    }

    [Fact]
    public async Task Deliveries_are_resent_by_filter()
    {
        await using var receiver = Sink.Start(status: 500);
        var run = await server.RunAsync(
            await server.DeployAsync(
                "filtered",
                $"$send.http({{ method: 'GET', url: '{receiver.Url}wanted' }}); $send.http({{ method: 'GET', url: "
                    + $"'{receiver.Url}other' }});",
                "step.js"
            )
        );
        string host = receiver.Url["http://".Length..^1];

        var found = await CallAsync(
            "deliveries",
            "resend",
            "--workflow",
            "filtered",
            "--status",
            "failed",
            "--host",
            host,
            "--since",
            "1h",
            "--url",
            "wanted"
        );
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
    [InlineData("resend", "give either ids, or a filter")]
    [InlineData("resend dlv_0000000000001 --status failed", "give either ids, or a filter")]
    [InlineData("resend --status broken", "'status' is 'broken'")]
    [InlineData("resend --since yesterday", "'since' is 'yesterday'")]
    [InlineData("resend nonsense", "is not the id of a delivery")]
    [InlineData("resend --status captured", "A filter cannot resend captured deliveries")]
    [InlineData("resend --captured --status failed", "--captured requires one id")]
    [InlineData("resend dlv_0000000000001 dlv_0000000000002 --captured", "--captured requires one id")]
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
