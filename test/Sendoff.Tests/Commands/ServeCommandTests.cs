using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Every way in which a start can go wrong is one clear line and an exit code.</summary>
public sealed class ServeCommandTests
{
    [Fact]
    public async Task A_data_directory_that_cannot_be_written_is_named()
    {
        var result = await SendoffCommand.RunAsync([
            "serve",
            "--data",
            "/proc/sendoff",
            "--listen",
            $"http://127.0.0.1:{ServerProcess.FreePort()}",
        ]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("the data directory /proc/sendoff cannot be written", result.Error);
    }

    [Fact]
    public async Task A_data_directory_that_is_served_already_is_named()
    {
        using var folder = new TempFolder();
        await using var first = await ServerProcess.StartAsync(folder.Path, "a-token-for-the-first");

        var second = await SendoffCommand.RunAsync([
            "serve",
            "--data",
            folder.Path,
            "--listen",
            $"http://127.0.0.1:{ServerProcess.FreePort()}",
        ]);

        Assert.Equal(2, second.ExitCode);
        Assert.Contains("is in use by another Sendoff process", second.Error);
    }

    [Fact]
    public async Task The_first_start_says_what_it_is_doing_before_it_does_it_and_a_later_one_does_it_no_more()
    {
        using var folder = new TempFolder();
        await using var first = await ServerProcess.StartAsync(folder.Path, "a-token-for-the-first");
        string[] lines = first.Said.Split('\n');
        Assert.Equal($"sendoff: starting with data in {folder.Path}", lines[0]);
        Assert.Equal(
            ["sendoff: starting", "sendoff: creating the database", "Sendoff listens on", "sendoff: deploying the samples", "  ready"],
            lines
                .Select(static line =>
                    Array.Find(
                        [
                            "sendoff: starting",
                            "sendoff: creating the database",
                            "Sendoff listens on",
                            "sendoff: deploying the samples",
                            "  ready",
                        ],
                        line.StartsWith
                    )
                )
                .OfType<string>()
        );
        first.Signal("TERM");
        Assert.Equal(0, await first.EndAsync());

        await using var second = await ServerProcess.StartAsync(folder.Path, "a-token-for-the-first");
        Assert.Contains("sendoff: starting with data in", second.Said);
        Assert.DoesNotContain("creating the database", second.Said);
        Assert.DoesNotContain("deploying the samples", second.Said);
    }

    /// <summary>Without a terminal, as in a journal, there is no progress bar.</summary>
    [Fact]
    public async Task Fetching_Node_js_is_said_in_lines_where_no_terminal_is()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "npm is a script of the shell here");
        using var folder = new TempFolder();
        string npm = Path.Combine(folder.Path, "npm");
        File.WriteAllText(npm, "#!/bin/sh\necho 'npm error the registry is away' >&2; exit 1\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(npm, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var result = await SendoffCommand.RunAsync(
            ["serve", "--data", Path.Combine(folder.Path, "data"), "--listen", $"http://127.0.0.1:{ServerProcess.FreePort()}"],
            environment: new Dictionary<string, string>
            {
                ["PATH"] = $"{folder.Path}:{Path.GetDirectoryName(Environment.ProcessPath)}",
                ["XDG_CACHE_HOME"] = folder.Path,
            }
        );

        string[] lines = result.Error.Split('\n');
        Assert.StartsWith("sendoff: starting with data in ", lines[0]);
        Assert.Matches(@"^sendoff: fetching Node\.js \(node-.*\) with npm, about 52 MB, for the first start only$", lines[1]);
        Assert.Contains("the registry is away", result.Error);
        Assert.Equal(2, result.ExitCode);
    }

    [Fact]
    public async Task A_bad_setting_is_named_with_its_value_and_what_is_expected()
    {
        var result = await SendoffCommand.RunAsync(["serve", "--set", "Delivery:Deadline=soon"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("the setting Delivery:Deadline is 'soon'; expected a duration such as 5s or 500ms", result.Error);
    }

    [Theory]
    [InlineData(
        "Egress:Addresses=127.0.0.2,198.51.100.77",
        "the setting Egress:Addresses is '127.0.0.2, 198.51.100.77'; expected addresses of this machine; 198.51.100.77 cannot be used: "
    )]
    [InlineData(
        "Egress:Addresses=localhost",
        "the setting Egress:Addresses is 'localhost'; expected a comma-separated list of complete IP addresses of this machine"
    )]
    [InlineData(
        "Egress:Workflows:orders:Deny=10.0.0.1/8",
        "Egress:Workflows:orders:Deny: \"10.0.0.1/8\" is not a valid egress rule: did you mean 10.0.0.0/8?"
    )]
    public async Task What_deliveries_cannot_leave_by_stops_the_start(string setting, string says)
    {
        using var folder = new TempFolder();
        var result = await SendoffCommand.RunAsync(["serve", "--data", folder.Path, "--set", setting]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(says, result.Error);
    }

    [Theory]
    [InlineData(
        "Listen=https://127.0.0.1:5181",
        "cannot listen on https://127.0.0.1:5181: https requires a certificate; set Tls:Certificate and Tls:Key"
    )]
    [InlineData("Listen=http://nobody.invalid:5181", "the host name 'nobody.invalid' cannot be resolved")]
    [InlineData("Listen=http://unix:/nowhere/http.sock", "the folder /nowhere")]
    [InlineData("Hooks:PublicUrl=https://hooks.example.com", "Also set PublicUrl, the host of the web UI")]
    public async Task What_cannot_be_listened_on_stops_the_start(string setting, string says)
    {
        using var folder = new TempFolder();
        var result = await SendoffCommand.RunAsync(["serve", "--data", folder.Path, "--set", setting]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(says, result.Error);
        Assert.False(File.Exists(Path.Combine(folder.Path, "sendoff.db")));
    }

    [Fact]
    public async Task Addresses_and_a_proxy_together_stop_the_start()
    {
        using var folder = new TempFolder();
        var result = await SendoffCommand.RunAsync([
            "serve",
            "--data",
            folder.Path,
            "--set",
            "Egress:Addresses=127.0.0.2",
            "--set",
            "Egress:Proxy=http://user:hunter2@127.0.0.1:3128",
        ]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("Egress:Addresses and Egress:Proxy are both set", result.Error);
        Assert.DoesNotContain("hunter2", result.Error);
    }

    [Fact]
    public async Task Commands_without_a_server_end_with_4_and_say_so()
    {
        var result = await SendoffCommand.RunAsync(["runs", "list", "--server", $"http://127.0.0.1:{ServerProcess.FreePort()}"]);

        Assert.Equal(4, result.ExitCode);
        Assert.Contains("no server responds at", result.Error);
    }

    [Fact]
    public async Task A_deploy_of_a_broken_step_shows_the_line_and_changes_nothing()
    {
        using var folder = new TempFolder();
        using var workflow = new TempFolder();
        const string token = "a-token-for-deploys";
        await using var server = await ServerProcess.StartAsync(folder.Path, token);
        string[] where = ["--server", server.Http.BaseAddress!.ToString(), "--token", token];
        File.WriteAllText(Path.Combine(workflow.Path, "step.js"), "return 1");
        var good = await SendoffCommand.RunAsync(["deploy", workflow.Path, "--name", "mine", .. where]);
        File.WriteAllText(Path.Combine(workflow.Path, "step.js"), "const a = ;");

        var broken = await SendoffCommand.RunAsync(["deploy", workflow.Path, "--name", "mine", .. where]);
        var list = await SendoffCommand.RunAsync(["workflows", "list", .. where]);

        Assert.Equal(0, good.ExitCode);
        Assert.Contains("mine version 1 is deployed", good.Output);
        Assert.Equal(2, broken.ExitCode);
        Assert.Contains("step.js:1:11: SyntaxError: Unexpected token ';'", broken.Error);
        Assert.Contains("1 | const a = ;\n                ^", broken.Error);
        Assert.Matches(@"mine +1 +yes", list.Output);
    }

    [Fact]
    public async Task Nobody_can_connect_to_the_diagnostics_of_the_runtime()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "on Windows they are named pipes, and the start warns");
        using var folder = new TempFolder();
        await using var server = await ServerProcess.StartAsync(folder.Path, "a-token-for-the-server");

        string[] doors = ["dotnet-diagnostic-", "clr-debug-pipe-"];
        Assert.DoesNotContain(
            Directory.EnumerateFiles(Path.GetTempPath()),
            file => doors.Any(door => Path.GetFileName(file).StartsWith($"{door}{server.Id}-", StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task A_start_without_a_sandbox_says_in_one_line_that_steps_are_not_isolated_and_how_to_isolate_them()
    {
        using var folder = new TempFolder();
        await using var server = await ServerProcess.StartAsync(folder.Path, "a-token-for-the-server", "Workers:Sandbox=none");

        string line = await server.SaysAsync("Steps are not isolated from the server");
        Assert.Contains("Workers:Sandbox is none; auto uses bubblewrap", line);
        Assert.Contains("the data directory is in ", line);
    }
}
