using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Alerts as people set them in a terminal.</summary>
public sealed class AlertsCommandTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    Task<CommandResult> CallAsync(params string[] args) =>
        SendoffCommand.RunAsync(["alerts", .. args, "--server", server.Address.ToString(), "--token", TestServer.Token]);

    [Fact]
    public async Task An_alert_is_added_listed_changed_tested_and_removed()
    {
        await using var receiver = Sink.Start();
        var added = await CallAsync(
            "add",
            "ops",
            "--type",
            "webhook",
            "--url",
            receiver.Url + "alerts",
            "--on",
            "run_failed,backlog",
            "--quiet-seconds",
            "60"
        );
        string id = added.Output.Trim();
        var set = await CallAsync("set", id, "--name", "night", "--recovered", "false");
        var list = await CallAsync("list");
        var tested = await CallAsync("test", id);
        await receiver.WaitForRequestsAsync(1);
        var json = await CallAsync("list", "--json");
        var removed = await CallAsync("remove", id);
        var empty = await CallAsync("list");

        Assert.Equal((0, ""), (added.ExitCode, added.Error));
        Assert.Equal((0, $"{id} set\n", ""), (set.ExitCode, set.Output, set.Error));
        Assert.Matches($@"{id} +night +all +run_failed, backlog +webhook +http://\S+/alerts +never", list.Output);
        Assert.Contains("\"quietSeconds\":60,\"recovered\":false", json.Output);
        Assert.StartsWith("run_", tested.Output);
        Assert.Equal((0, $"{id} removed\n"), (removed.ExitCode, removed.Output));
        Assert.DoesNotContain("night", empty.Output);
    }

    [Fact]
    public async Task An_alert_is_named_instead_of_its_id_and_its_fields_are_reset_to_their_defaults()
    {
        string url = "http://127.0.0.1:9/alerts";
        string id = (
            await CallAsync(
                "add",
                "by name",
                "--type",
                "webhook",
                "--url",
                url,
                "--on",
                "backlog",
                "--quiet-seconds",
                "60",
                "--backlog-runs",
                "5",
                "--recovered",
                "false"
            )
        ).Output.Trim();
        var set = await CallAsync("set", "by name", "--reset", "quiet-seconds", "backlog-runs", "recovered");
        var json = await CallAsync("list", "--json");
        var unknown = await CallAsync("set", id, "--reset", "url");
        var removed = await CallAsync("remove", "by name");

        Assert.Equal((0, $"{id} set\n", ""), (set.ExitCode, set.Output, set.Error));
        Assert.Contains(
            $"\"url\":\"{url}\",\"quietSeconds\":900,\"recovered\":true,\"backlogSeconds\":null,\"backlogRuns\":null",
            json.Output
        );
        Assert.Equal(2, unknown.ExitCode);
        Assert.Contains("quiet-seconds", unknown.Error);
        Assert.Equal((0, $"{id} removed\n"), (removed.ExitCode, removed.Output));
    }

    [Theory]
    [InlineData("add ops --on run_failed", "'type' is missing. Expected one of email, webhook, slack.")]
    [InlineData("add ops --type webhook --on run_failed", "'url' is missing")]
    [InlineData(
        "add ops --type webhook --url http://example.com/ --on runs",
        "'on' contains 'runs'. Expected a list of run_failed, delivery_failed, backlog."
    )]
    [InlineData("add ops --type fax --on backlog", "'type' is 'fax'")]
    [InlineData("set nothing --name x", "There is no alert 'nothing'.")]
    [InlineData("remove nothing", "There is no alert 'nothing'.")]
    [InlineData("test nothing", "There is no alert 'nothing'.")]
    public async Task What_the_api_refuses_is_said_in_its_words_and_ends_with_2(string args, string says)
    {
        var result = await CallAsync(args.Split(' '));
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(says, result.Error);
    }
}
