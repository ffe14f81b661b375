using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Sendoff.Commands;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Whatever a command is given, and whatever answers it: one clear line and a documented exit code.</summary>
public sealed class CommandInputTests : IDisposable
{
    readonly TempFolder folder = new();

    public CommandInputTests()
    {
        Directory.CreateDirectory(At("workflow"));
        File.WriteAllText(At("workflow/step.js"), "return 1");
        File.WriteAllText(At("event.json"), "{}");
        File.WriteAllText(At("broken.json"), "{oops");
        File.WriteAllBytes(At("latin.json"), [0x22, 0xe9, 0x22]);
        File.WriteAllBytes(At("latin.js"), [0x22, 0xe9, 0x22]);
        Directory.CreateDirectory(At("empty"));
        Directory.CreateDirectory(At("project"));
        File.WriteAllText(At("project/workflow.yaml"), "name: project");
        File.WriteAllText(At("nothing.txt"), "");
        File.WriteAllBytes(At("project.tar.gz"), [0x1f, 0x8b, 8, 0]);
        File.WriteAllBytes(At("cut.zip"), [(byte)'P', (byte)'K', 3, 4]);
    }

    public void Dispose() => folder.Dispose();

    string At(string path) => Path.Combine(folder.Path, path);

    /// <summary>Commands that ask a server, with arguments that are well. <c>@</c> is the test's folder.</summary>
    static readonly string[] asking =
    [
        "deploy @/workflow",
        "workflows list",
        "workflows show a",
        "workflows enable a",
        "workflows disable a",
        "workflows delete a",
        "runs list",
        "runs show run_0000000000001",
        "runs replay run_0000000000001",
        "runs release run_0000000000001",
        "runs resume run_0000000000001",
        "runs cancel run_0000000000001",
        "deliveries list",
        "deliveries show dlv_0000000000001",
        "deliveries resend dlv_0000000000001",
        "events list",
        "events show evt_0000000000001",
        "events send a @/event.json",
        "secrets list",
        "secrets set A --value value",
        "secrets delete A",
        "tokens list",
        "tokens create a",
        "tokens revoke tok_1",
        "tokens sign-in",
        "export har run_0000000000001",
        "export curl dlv_0000000000001",
        "stores list",
        "stores get a k",
        "stores set a k 1",
        "stores delete a k",
        "servers",
        "hold show",
        "hold release",
        "alerts list",
        "alerts add a --type email --on run_failed",
        "alerts set alr_1 --name b",
        "alerts remove alr_1",
        "alerts test alr_1",
        "accounts list",
        "accounts show apn_1",
        "accounts connect slack --field oauth_access_token=token",
        "accounts remove apn_1",
    ];

    /// <summary>Commands that print what the server says, whatever it is.</summary>
    static readonly string[] passingOn =
    [
        "workflows show a",
        "workflows enable a",
        "workflows disable a",
        "workflows delete a",
        "runs replay run_0000000000001",
        "runs release run_0000000000001",
        "runs resume run_0000000000001",
        "runs cancel run_0000000000001",
        "events show evt_0000000000001",
        "secrets delete A",
        "tokens revoke tok_1",
        "export har run_0000000000001",
        "export curl dlv_0000000000001",
        "stores set a k 1",
        "stores delete a k",
        "hold show",
        "hold release",
        "accounts remove apn_1",
    ];

    /// <summary>Input that is not well, and what the line says.</summary>
    public static TheoryData<string, string> Mistakes =>
        new()
        {
            { "deploy @/nothing", "this file or folder does not exist" },
            { "migrate --data @/nothing --to Host=localhost", "does not exist or is empty; set the data folder with --data" },
            { "deploy @/latin.js", "is not UTF-8 text" },
            { "deploy @/event.json", "is not a step file" },
            { "deploy ~", "the path is empty" },
            { "run @/nothing", "this file or folder does not exist" },
            { "run @/workflow --event @/broken.json", "neither a file nor valid JSON" },
            { "run @/workflow --event @/workflow", "is a folder; give a file" },
            { "run @/workflow --event @/latin.json", "is not UTF-8 text" },
            { "run @/workflow --event oops", "neither a file nor valid JSON" },
            { "run @/workflow --accounts @/nothing", "--accounts" },
            { "run @/workflow --accounts @/workflow", "--accounts" },
            { "run @/workflow --secret oops", "expected NAME=VALUE" },
            { "run @/workflow --timeout soon", "expected a duration" },
            { "run @/workflow --set oops", "expected KEY=VALUE" },
            { "run @/workflow --set Delivery:Deadline=1s --set delivery:deadline=2s", "the setting delivery:deadline is set twice" },
            { "serve --set Data=@/a --data @/b", "--data: the setting Data is set twice" },
            { "serve --listen http://localhost:1 --set Listen=http://localhost:2", "--listen: the setting Listen is set twice" },
            { "doctor --set A=1 --set A=1", "the setting A is set twice" },
            { "import @/nothing", "there is no such folder or archive" },
            { "import @/broken.json", "is not a Pipedream project: it is a .json file. import reads a folder of GitHub sync" },
            { "import @/workflow/step.js", "is not a Pipedream project: it is a step file. It needs no import; run `sendoff deploy" },
            { "import @/project/workflow.yaml", "it is the workflow.yaml of a workflow. Give the folder that contains it" },
            { "import @/project.tar.gz", "it is a gzip archive. Unpack it" },
            { "import @/cut.zip", "it is a damaged ZIP archive" },
            { "import @/nothing.txt", "is not a Pipedream project: it is empty" },
            { "import @/empty", "is not a Pipedream project: it contains no files of a workflow: neither a workflow.yaml" },
            {
                "import @/workflow",
                "is not a Pipedream project: it has step.js, but neither a workflow.yaml (GitHub sync) nor a JSON file with steps (export "
                    + "archive). Step files need no import; run `sendoff deploy"
            },
            { "import ~", "cannot be read" },
            { "import @/workflow --answers @/nothing", "cannot be read" },
            { "import @/workflow --answers @/workflow", "cannot be read" },
            { "import @/workflow --components @/nothing", "--components" },
            { "import @/workflow --components @/event.json", "there is no such folder" },
            { "types @/nothing", "this folder does not exist" },
            { "types @/event.json", "this folder does not exist" },
            { "events send a @/nothing", "this file does not exist" },
            { "events send a @/workflow", "is a folder; give a file" },
            { "events send a @/latin.json", "is not UTF-8 text" },
            { "events send a @/broken.json --event", "the event is not JSON: line 1, column 2" },
            { "events send a ~", "cannot be read" },
            { "stores set a k oops", "the value is not JSON" },
            { "export har oops", "neither a run" },
            { "deliveries resend", "give either ids, or a filter" },
            { "runs show", "give either an id, or --last" },
            { "runs show run_0000000000001 --last", "give either an id, or --last" },
            { "runs show run_0000000000001 --workflow a", "--workflow requires --last" },
            { "deliveries show", "give either an id, or --last" },
            { "receive --port 0", "expected a port from 1 to 65535" },
            { "receive --port 65536", "expected a port from 1 to 65535" },
            { "receive --status 99", "expected a status" },
            { "receive --count 0", "expected a number, at least 1" },
            { "receive --hostile --port 65535", "cannot listen on ports" },
            { "receive --hostile --port 21999 --authority @/nothing/ca.pem", "cannot be written" },
            { "runs list --server oops", "expected a URL" },
            { "runs list --server ftp://localhost", "expected a URL" },
            { "runs list --token ééé", "the token has invalid characters" },
        };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_mistake_in_the_input_ends_with_2(string command, string says)
    {
        var error = await Assert.ThrowsAsync<CommandException>(() => InvokeAsync(command));
        Assert.Equal(ExitCode.Usage, error.ExitCode);
        Assert.Contains(says, error.Message);
        Assert.DoesNotContain('\n', error.Message.TrimEnd());
    }

    /// <summary>What has no end is read up to a bound, whatever its size says.</summary>
    [Theory]
    [InlineData("run @/workflow --accounts /dev/zero", "over 1 MB")]
    [InlineData("run @/workflow --event /dev/zero", "over 64 MB")]
    [InlineData("run @/endless.js", "more than 5 MB")]
    [InlineData("run @/endless", "more than 5 MB")]
    [InlineData("deploy @/endless", "more than 5 MB")]
    [InlineData("import @/workflow --answers /dev/zero", "/dev/zero:1:")]
    [InlineData("import /dev/zero", "is not a Pipedream project")]
    public async Task A_file_without_an_end_ends_with_2(string command, string says)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no /dev/zero");
        File.CreateSymbolicLink(Path.Combine(folder.Path, "endless.js"), "/dev/zero");
        File.CreateSymbolicLink(
            Path.Combine(Directory.CreateDirectory(Path.Combine(folder.Path, "endless")).FullName, "step.js"),
            "/dev/zero"
        );
        await A_mistake_in_the_input_ends_with_2(command, says);
    }

    [Fact]
    public void Every_command_is_tried_with_a_server_that_is_none_or_with_bad_input()
    {
        string[] tried = [.. asking, .. Mistakes.Select(static row => row.Data.Item1)];
        foreach (string name in Leaves(CommandTree.Build(), ""))
            Assert.Contains(tried, command => $"{command} ".StartsWith($"{name} ", StringComparison.Ordinal));
    }

    static IEnumerable<string> Leaves(Command command, string path) =>
        command.Subcommands.Count == 0 ? [path] : command.Subcommands.SelectMany(sub => Leaves(sub, $"{path} {sub.Name}".TrimStart()));

    [Fact]
    public async Task Without_a_server_every_command_ends_with_4()
    {
        string none = $"http://127.0.0.1:{ServerProcess.FreePort()}";
        foreach (string command in asking)
        {
            var error = await Assert.ThrowsAsync<CommandException>(() => InvokeAsync($"{command} --server {none}"));
            Assert.Equal((command, ExitCode.NoServer), (command, error.ExitCode));
            Assert.StartsWith($"no server responds at {none}", error.Message);
        }
    }

    [Theory]
    [InlineData("401 Unauthorized", "", "does not accept the token")]
    [InlineData(
        "403 Forbidden",
        """{"title":"Forbidden","status":403,"detail":"The token's scope is read."}""",
        "The token's scope is read."
    )]
    [InlineData(
        "503 Service Unavailable",
        """{"title":"Store unavailable","status":503,"detail":"the disk is full"}""",
        "the disk is full"
    )]
    [InlineData("502 Bad Gateway", "<html>nginx</html>", "returned status 502")]
    [InlineData("404 Not Found", "<html>a router</html>", "returned status 404")]
    [InlineData("404 Not Found", "{}", "returned status 404")]
    [InlineData("200 OK", "<html>a router</html>", "is not a Sendoff server")]
    [InlineData("200 OK", "null", "is not a Sendoff server")]
    [InlineData("200 OK", "[1]", "is not a Sendoff server")]
    [InlineData("200 OK", "{\"items\":7,\"name\":{},\"id\":[]}", "is not a Sendoff server")]
    [InlineData("200 OK", "{}", "is not a Sendoff server")]
    public async Task A_server_that_refuses_or_is_not_Sendoff_ends_every_command_with_4(string status, string body, string says)
    {
        await using var server = Receiver.Answering(
            $"HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {body.Length}\r\n\r\n{body}"
        );
        foreach (string command in asking.Except(status == "200 OK" ? passingOn : []))
        {
            var error = await Assert.ThrowsAsync<CommandException>(() => InvokeAsync($"{command} --server {server.Url} --token a-token"));
            Assert.Equal((command, ExitCode.NoServer), (command, error.ExitCode));
            Assert.True(error.Message.Contains(says, StringComparison.Ordinal), $"{command}: {error.Message}");
        }
    }

    /// <summary>Where a token was looked for, and what is wrong with the one that was found.</summary>
    [Theory]
    [InlineData(
        "none",
        "no token: there is no @/data/admin-token. Set one with --token or SENDOFF_TOKEN, "
            + "or run the command in the folder in which the server was started"
    )]
    [InlineData("unreadable", "no token: @/data/admin-token cannot be read by this user. Set one with --token or SENDOFF_TOKEN")]
    [InlineData(
        "another",
        "the server does not accept the token in @/data/admin-token: it has another data directory, or Auth:Token is set. Set one"
    )]
    [InlineData("variable", "the server does not accept the token from SENDOFF_TOKEN;")]
    [InlineData("option", "the server does not accept the token from --token;")]
    public async Task A_token_that_is_missing_or_refused_is_told_by_where_it_was_looked_for(string token, string says)
    {
        await using var server = Receiver.Answering("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        Directory.CreateDirectory(At("data"));
        // A folder is no more readable as a file than one that belongs to somebody else, also to root.
        if (token == "unreadable")
            Directory.CreateDirectory(At("data/admin-token"));
        else if (token != "none")
            File.WriteAllText(At("data/admin-token"), "a-token-of-another-server");
        var environment = new Dictionary<string, string> { ["SENDOFF_Data"] = At("data") };
        if (token == "variable")
            environment["SENDOFF_TOKEN"] = "a-token";
        var result = await SendoffCommand.RunAsync(
            ["runs", "list", "--server", server.Url, .. token == "option" ? (string[])["--token", "a-token"] : []],
            environment: environment
        );
        Assert.Equal(ExitCode.NoServer, result.ExitCode);
        Assert.Contains(says.Replace("@", folder.Path, StringComparison.Ordinal), result.Error);
    }

    [Theory]
    [InlineData("rnus list", "'rnus'. Did you mean `runs`? Try `sendoff --help`.")]
    [InlineData("deploi a", "'deploi'. Did you mean `deploy`? Try `sendoff --help`.")]
    [InlineData("runs lst", "'lst'. Did you mean `list`? Try `sendoff runs --help`.")]
    [InlineData("resend --status failed", "Did you mean `deliveries resend`? Try `sendoff --help`.")]
    [InlineData("runs list --folow", "'--folow'. Did you mean `--follow`? Try `sendoff runs list --help`.")]
    [InlineData("runs list --tokn a", "'--tokn'. Did you mean `--token`? Try `sendoff runs list --help`.")]
    [InlineData("serve --developement", "'--developement'. Did you mean `--development`? Try `sendoff serve --help`.")]
    [InlineData("xylophone", "'xylophone'. Try `sendoff --help`.")]
    [InlineData("deploy", "Required argument 'path' missing for command: 'deploy'. Try `sendoff deploy --help`.")]
    public void A_command_line_that_cannot_be_read_names_what_was_probably_meant(string line, string says)
    {
        string message = UsageError.Of(CommandTree.Build().Parse(line.Split(' ')));
        Assert.EndsWith(says, message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void Development_is_an_option_of_the_commands_that_deliver_and_dotnet_run_gives_it_to_all()
    {
        string[] having =
        [
            .. All(CommandTree.Build())
                .Where(static command => command.Options.Contains(ServeCommand.Development))
                .Select(static command => command.Name),
        ];
        Assert.Equal(["doctor", "run", "serve"], having.Where(static name => name is "doctor" or "run" or "serve").Order());
        Assert.Equal(4, having.Length); // and `sendoff` alone, which serves
        foreach (string line in asking.Append("serve --development").Append("run a"))
            Assert.Empty(
                CommandTree.Build().Parse(["--development", .. line.Replace("@/", "", StringComparison.Ordinal).Split(' ')]).Errors
            );
        Assert.True(CommandTree.Build().Parse(["--development", "run", "a"]).GetValue(ServeCommand.Development));

        static IEnumerable<Command> All(Command command) => command.Subcommands.SelectMany(All).Prepend(command);
    }

    [Fact]
    public async Task A_server_that_closes_the_connection_ends_every_command_with_4()
    {
        await using var server = Receiver.Start(static async connection => await connection.ReadRequestAsync());
        await using var half = Receiver.AnsweringOnce("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"u8.ToArray());
        foreach (string command in asking)
        foreach (string url in new[] { server.Url, half.Url })
            Assert.Equal(
                (command, ExitCode.NoServer),
                (command, (await Assert.ThrowsAsync<CommandException>(() => InvokeAsync($"{command} --server {url}"))).ExitCode)
            );
    }

    Task<int> InvokeAsync(string command)
    {
        var parsed = CommandTree
            .Build()
            .Parse(
                command
                    .Replace("@/", folder.Path + "/", StringComparison.Ordinal)
                    .Split(' ')
                    .Select(static part => part == "~" ? "" : part)
                    .ToArray()
            );
        Assert.Empty(parsed.Errors);
        return parsed.InvokeAsync(
            new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null },
            TestContext.Current.CancellationToken
        );
    }

    // In a process of its own: what only the whole of it shows.

    [Fact]
    public async Task A_port_in_use_is_said_in_one_line()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        string url = $"http://{taken.LocalEndpoint}";
        var result = await SendoffCommand.RunAsync(["serve", "--data", At("data"), "--listen", url]);

        Assert.Equal(
            (
                2,
                $"sendoff: cannot listen on {url}: {taken.LocalEndpoint} is in use by another program; stop that program, "
                    + "or choose another port\n"
            ),
            (result.ExitCode, result.Error)
        );
        Assert.DoesNotContain("Exception", result.Output);
    }

    [Fact]
    public async Task An_error_is_one_line_and_no_stack_trace()
    {
        var result = await SendoffCommand.RunAsync(["run", At("workflow"), "--set", "A=1", "--set", "A=2"]);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Equal(
            "sendoff: --set A: the setting A is set twice; set it once, and separate the parts of a list with commas\n",
            result.Error
        );
    }

    [Fact]
    public async Task Ctrl_C_ends_a_command_that_waits_for_its_server()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var silent = Receiver.Start(async connection =>
        {
            await connection.ReadRequestAsync();
            arrived.TrySetResult();
            await Task.Delay(Timeout.Infinite, connection.Stop);
        });
        using var process = Process.Start(SendoffCommand.Info("deploy", At("workflow"), "--server", silent.Url))!;
        var said = SaidLines.Of(process);
        await arrived.Task.WithinLimitAsync();
        Signals.Send(process.Id, "INT");
        await process.WaitForExitAsync().WithinLimitAsync();
        await said.Ended;
        Assert.Equal((128 + 2, "sendoff: interrupted"), (process.ExitCode, said.ToString()));
    }

    [Theory]
    [InlineData("workflows show a")]
    [InlineData("runs list")]
    public async Task Output_that_nobody_reads_any_more_ends_the_command(string command)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "pipes are of POSIX");
        string item =
            """{"id":"run_1","status":"succeeded","workflow":"w","trigger":"http","startedAt":"2026-01-01T00:00:00Z","durationMs":1,"sends":0}""";
        string body = $$"""{"items":[{{string.Join(',', Enumerable.Repeat(item, 20_000))}}],"nextCursor":null}""";
        await using var server = Receiver.Answering(
            $"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {body.Length}\r\n\r\n{body}"
        );
        var info = SendoffCommand.Info([.. command.Split(' '), "--json", "--server", server.Url]);
        using var process = Process.Start(info)!;
        process.StandardOutput.Close();
        string error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WithinLimitAsync();
        Assert.Equal((ExitCode.OutputClosed, ""), (process.ExitCode, error));
    }
}
