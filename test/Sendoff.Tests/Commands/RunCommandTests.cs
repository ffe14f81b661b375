using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using NJsonSchema;
using Sendoff.Server.Api;
using Sendoff.Tests.Server;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary><c>sendoff run</c> as people call it: a process, its output, its exit code.</summary>
public sealed class RunCommandTests : IAsyncLifetime
{
    readonly TempFolder folder = new();
    readonly Sink receiver = Sink.Start();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        folder.Dispose();
        await receiver.DisposeAsync();
    }

    string Write(string file, string text)
    {
        string path = Path.Combine(folder.Path, file);
        File.WriteAllText(path, text);
        return path;
    }

    Task<CommandResult> RunAsync(params string[] args) => SendoffCommand.RunAsync(["run", .. args], folder.Path);

    string FourSends() =>
        Write(
            "four.mjs",
            $$"""
            export default defineComponent({
              async run({ $ }) {
                console.log("telling four");
                for (const n of [1, 2, 3, 4]) $.send.http({ method: "POST", url: "{{receiver.Url}}" + n, data: { n } });
                return "done";
              },
            });
            """
        );

    [Fact]
    public async Task Four_sends_print_a_tree_with_log_requests_responses_and_waterfalls()
    {
        var result = await RunAsync(FourSends(), "--allow", "127.0.0.0/8");

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("telling four", result.Output);
        for (int i = 0; i < 4; i++)
            Assert.Contains($"$send.http [{i}] POST {receiver.Url}{i + 1} → 200", result.Output);
        Assert.Contains("connect", result.Output);
        Assert.Contains("├──", result.Output);
        Assert.DoesNotContain("\u001b", result.Output); // a pipe has no colours
        Assert.Equal(4, receiver.Requests.Count);
    }

    [Fact]
    public async Task Emails_go_out_with_the_settings_and_what_is_for_a_server_is_captured()
    {
        await using var mail = new MailServer();
        string step = Write(
            "all.js",
            "$send.email({ subject: 's', text: 't' }); $send.emit({ raw_event: { a: 1 } }); $send.sse({ channel: 'c', payload: 'p' })"
        );
        var result = await RunAsync(
            step,
            "--allow",
            "127.0.0.0/8",
            "--set",
            "Smtp:Host=127.0.0.1",
            "--set",
            $"Smtp:Port={mail.Port}",
            "--set",
            "Smtp:Security=none",
            "--set",
            "Smtp:To=owner@example.com"
        );
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("$send.email [0] SEND email: → 250", result.Output);
        Assert.Contains("$send.emit [1] SEND emit: captured: only a server can send this", result.Output);
        Assert.Single(mail.Messages);

        result = await RunAsync(step, "--dry-run", "--json");
        Assert.Equal(3, System.Text.RegularExpressions.Regex.Count(result.Output, "\"status\":\"captured\""));
        result = await RunAsync(step);
        Assert.Equal(3, result.ExitCode);
        Assert.Contains("Smtp:Host", result.Output);
    }

    [Fact]
    public async Task The_one_run_has_a_data_store()
    {
        string step = Write(
            "keep.mjs",
            """
            export default { props: { data: { type: "data_store" } }, async run() {
              await this.data.set("a", 1); await this.data.set("b", 2, { ttl: 60 });
              $checkpoint = [await this.data.keys(), await this.data.size()];
              return $checkpoint;
            } };
            """
        );

        for (int i = 0; i < 2; i++)
        {
            var result = await RunAsync(step, "--json");
            Assert.Equal((0, ""), (result.ExitCode, result.Error));
            Assert.Equal(
                """[["a","b"],2]""",
                JsonDocument
                    .Parse(result.Output)
                    .RootElement.GetProperty("steps")[0]
                    .GetProperty("exports")
                    .GetProperty("$return_value")
                    .GetRawText()
            );
        }
    }

    [Fact]
    public async Task The_egress_settings_hold_here_too()
    {
        Write("appsettings.json", """{ "Egress": { "Addresses": "127.0.0.3", "Workflows": { "four": { "Allow": "127.0.0.1" } } } }""");
        var result = await RunAsync(FourSends(), "--json");
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        var run = JsonSerializer.Deserialize(result.Output, ApiJson.Default.RunDocument)!;
        Assert.All(run.Steps[0].Deliveries, d => Assert.Equal("127.0.0.3", Assert.Single(d.Attempts).LocalAddress));

        Write("appsettings.json", """{ "Egress": { "Addresses": "198.51.100.77" } }""");
        result = await RunAsync(FourSends());
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("the setting Egress:Addresses is '198.51.100.77'", result.Error);
    }

    [Fact]
    public async Task Json_prints_the_run_document_and_nothing_else_valid_by_its_schema()
    {
        var result = await RunAsync(FourSends(), "--allow", "127.0.0.0/8", "--json");

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        var schema = await JsonSchema.FromFileAsync(RunDocumentTests.SchemaPath(), TestContext.Current.CancellationToken);
        Assert.Empty(schema.Validate(result.Output));
        var run = JsonSerializer.Deserialize(result.Output, ApiJson.Default.RunDocument)!;
        Assert.Equal(4, run.Steps.Single().Deliveries.Count);
    }

    [Fact]
    public async Task Dry_run_captures_the_sends_and_dials_nothing()
    {
        // Names that do not exist and a listener that counts: neither is asked.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        string step = Write(
            "dry.mjs",
            $$"""
            export default { run({ $ }) {
              $.send.http({ method: "POST", url: "http://127.0.0.1:{{((IPEndPoint)listener.LocalEndpoint).Port}}/", data: { a: 1 } });
              $.send.http({ method: "GET", url: "https://name.that.does.not.exist.invalid/" });
            } };
            """
        );

        var result = await RunAsync(step, "--dry-run", "--json", "--allow", "127.0.0.0/8");

        Assert.Equal(0, result.ExitCode);
        var deliveries = JsonSerializer.Deserialize(result.Output, ApiJson.Default.RunDocument)!.Steps.Single().Deliveries;
        Assert.All(deliveries, d => Assert.Equal(("captured", 0), (d.Status, d.Attempts.Count)));
        Assert.Equal("""{"a":1}""", deliveries[0].Request.Body);
        Assert.False(listener.Pending());
    }

    [Fact]
    public async Task A_failed_delivery_ends_with_3_and_a_failed_run_with_1()
    {
        string refused = Write(
            "refused.mjs",
            $"export default {{ run({{ $ }}) {{ $.send.http({{ method: 'GET', url: 'http://127.0.0.1:{ServerProcess.FreePort()}/' }}) }} }}"
        );
        string thrown = Write("thrown.mjs", "export default {\n  run() {\n    throw new RangeError('too far');\n  }\n}");

        var delivery = await RunAsync(refused, "--allow", "127.0.0.0/8");
        var run = await RunAsync(thrown);

        Assert.Equal(3, delivery.ExitCode);
        Assert.Contains("connect_refused in connect", delivery.Output);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("RangeError at line 3, column 11: too far", run.Output);
    }

    [Fact]
    public async Task Loopback_is_blocked_unless_it_is_allowed_and_the_message_says_how()
    {
        var result = await RunAsync(FourSends());

        Assert.Equal(3, result.ExitCode);
        Assert.Contains("blocked_by_egress_policy", result.Output);
        Assert.Contains("Egress:Allow", result.Output);
        Assert.Empty(receiver.Requests);
    }

    [Fact]
    public async Task A_syntax_error_is_shown_with_file_line_column_and_a_caret()
    {
        var result = await RunAsync(Write("broken.mjs", "export default {\n  run() {\n    const a = ;\n  }\n}\n"));

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains("broken.mjs:3:15: SyntaxError: Unexpected token ';'", result.Error);
        Assert.Contains("  3 |     const a = ;\n                    ^", result.Error);
    }

    [Fact]
    public async Task The_event_comes_from_a_file_from_text_or_from_standard_input()
    {
        string step = Write("echo.js", "return event.body.who");
        string file = Write("event.json", """{"body":{"who":"file"}}""");

        Assert.Contains("\"file\"", (await RunAsync(step, "--event", file)).Output);
        Assert.Contains("\"text\"", (await RunAsync(step, "--event", """{"body":{"who":"text"}}""")).Output);
        Assert.Contains(
            "\"stdin\"",
            (await SendoffCommand.RunAsync(["run", step, "--event", "-"], folder.Path, """{"body":{"who":"stdin"}}""")).Output
        );
    }

    [Fact]
    public async Task Secrets_reach_the_step_and_the_receiver_and_are_masked_in_what_is_printed()
    {
        string step = Write(
            "secret.js",
            $$"""
            console.log("it is", process.env.API_KEY)
            $send.http({ method: "POST", url: "{{receiver.Url}}?key=" + process.env.API_KEY, auth: { username: "u", password: process.env.API_KEY }, data: process.env.API_KEY })
            """
        );

        var result = await RunAsync(step, "--secret", "API_KEY=s3cret/value", "--allow", "127.0.0.0/8", "--json");

        Assert.Equal(0, result.ExitCode);
        Assert.DoesNotContain("s3cret", result.Output);
        Assert.DoesNotContain(Convert.ToBase64String("s3cret/value"u8), result.Output);
        Assert.DoesNotContain(Convert.ToBase64String("u:s3cret/value"u8), result.Output);
        Assert.Equal("s3cret/value"u8, Assert.Single(receiver.Requests).Body);
    }

    [Fact]
    public async Task Accounts_of_a_file_reach_steps_of_both_generations_and_are_masked()
    {
        Write("accounts.json", """{ "slack": { "oauth_access_token": "xoxb-0123456789", "team": 7 } }""");
        Write(
            "body.js",
            "return [auths.slack.oauth_access_token, auths.slack.oauth_access_token.length, auths.slack.team, auths.other.key]"
        );
        Write(
            "component.mjs",
            """export default { props: { slack: { type: "app", app: "slack" } }, run() { return [this.slack.$auth.oauth_access_token.length] } }"""
        );

        var body = await RunAsync(
            Path.Combine(folder.Path, "body.js"),
            "--accounts",
            Path.Combine(folder.Path, "accounts.json"),
            "--secret",
            "OTHER__KEY=key-of-other",
            "--json"
        );
        var component = await RunAsync(
            Path.Combine(folder.Path, "component.mjs"),
            "--accounts",
            Path.Combine(folder.Path, "accounts.json"),
            "--json"
        );

        Assert.Equal(["••••••••", "15", "7", "••••••••"], Returned(body));
        Assert.Equal(["15"], Returned(component));
        static string[] Returned(CommandResult result) =>
            [
                .. JsonSerializer
                    .Deserialize(result.Output, ApiJson.Default.RunDocument)!
                    .Steps[0]
                    .Exports.GetProperty("$return_value")
                    .EnumerateArray()
                    .Select(static v => v.ToString()),
            ];
    }

    [Theory]
    [InlineData("nowhere.mjs", "this file or folder does not exist")]
    [InlineData("notes.txt", "is not a step file")]
    [InlineData("step.js --event {oops", "neither a file nor valid JSON")]
    [InlineData("step.js --timeout soon", "expected a duration")]
    [InlineData("step.js --secret nothing", "expected NAME=VALUE")]
    [InlineData("step.js --accounts nowhere.json", "--accounts nowhere.json: Could not find file")]
    [InlineData("step.js --accounts notes.txt", "give a JSON file such as")]
    [InlineData("step.js --accounts list.json", "an object of apps")]
    [InlineData("step.js --allow 300.0.0.0/8", "300.0.0.0/8")]
    [InlineData("step.js --unknown", "--unknown")]
    [InlineData("empty", "no step file")]
    public async Task Wrong_usage_is_one_clear_line_and_ends_with_2(string args, string message)
    {
        Write("step.js", "return 1");
        Write("notes.txt", "");
        Write("list.json", "[]");
        Directory.CreateDirectory(Path.Combine(folder.Path, "empty"));

        var result = await RunAsync(args.Split(' '));

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(message, result.Error);
    }

    [Fact]
    public async Task A_timeout_ends_the_run_and_its_earlier_sends_go_out()
    {
        string step = Write(
            "loop.js",
            $$"""
            $send.http({ method: "POST", url: "{{receiver.Url}}", data: 1 })
            for (;;) {}
            """
        );

        var result = await RunAsync(step, "--timeout", "300ms", "--allow", "127.0.0.0/8");

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("timed out", result.Output);
        Assert.Single(receiver.Requests);
    }
}
