using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Commands;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>Nothing that is stored acts upon the terminal of who looks at it.</summary>
public sealed class TerminalTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    /// <summary>Sets the title, moves the cursor, writes backwards, rings.</summary>
    const string Attack = "\u001b]0;pwned\u0007\u001b[2J\u009b31m\u202e\u2066\r\u0000\u007f\u0085";

    static string Escaped => JsonSerializer.Serialize(Attack);

    Task<CommandResult> CallAsync(params string[] args) =>
        SendoffCommand.RunAsync([.. args, "--server", server.Address.ToString(), "--token", TestServer.Token]);

    static void AssertClean(CommandResult result, string command)
    {
        Assert.False(TerminalText.IsActive(result.Output + result.Error), $"{command}: {TerminalText.Clean(result.Output + result.Error)}");
    }

    [Fact]
    public void Every_character_that_a_terminal_may_act_upon_is_written_as_an_escape()
    {
        int[] active =
        [
            .. Enumerable.Range(0, 0x20).Except([9, 10]),
            .. Enumerable.Range(0x7f, 0x21),
            0x61c,
            0x200e,
            0x200f,
            .. Enumerable.Range(0x2028, 7),
            .. Enumerable.Range(0x2066, 4),
        ];
        foreach (int c in active)
            Assert.Equal($"a\\u{c:x4}b", TerminalText.Clean($"a{(char)c}b"));
        string kept = string.Concat(Enumerable.Range(0, 0xd800).Except(active).Select(static c => (char)c)) + "🚀\r\n";
        Assert.Equal(kept, TerminalText.Clean(kept));
    }

    [Fact]
    public void Json_means_the_same_when_it_is_cleaned()
    {
        string json = $$"""{"a":"{{"\u009b\u202e\u2028é"}}"}""";
        Assert.Equal(
            JsonElement.Parse(json).GetProperty("a").GetString(),
            JsonElement.Parse(TerminalText.Clean(json)).GetProperty("a").GetString()
        );
    }

    [Fact]
    public async Task No_command_prints_what_a_terminal_acts_upon()
    {
        await using var receiver = Receiver.Answering(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: "
                + $"{Encoding.UTF8.GetByteCount(Attack)}\r\n\r\n{Latin(Attack)}"
        );
        string hook = await server.DeployAsync(
            "attack",
            $$"""
            console.log({{Escaped}});
            $send.http({ method: "POST", url: "{{receiver.Url}}", data: {{Escaped}}, headers: { "x-a": "\u009b31m" } });
            $send.http({ method: "POST", url: "http://localhost.invalid/", data: {{Escaped}} });
            $checkpoint = {{Escaped}};
            const error = new Error({{Escaped}}); error.name = {{Escaped}}; throw error;
            """,
            "step.js"
        );
        var run = await server.RunAsync(hook, Escaped);
        string delivery = run.Steps[0].Deliveries[0].Id;
        await CallAsync("stores", "set", "attack", "k", Escaped);
        string[][] commands =
        [
            ["runs", "list"],
            ["runs", "show", run.Id],
            ["runs", "show", run.Id, "--json"],
            ["deliveries", "list"],
            ["deliveries", "show", delivery],
            ["deliveries", "list", "--json"],
            ["events", "list"],
            ["events", "show", run.EventId],
            ["export", "har", run.Id],
            ["export", "curl", run.Id],
            ["stores", "get", "attack", "k"],
            ["stores", "list", "attack"],
            ["workflows", "show", "attack"],
            ["runs", "show", Attack.Replace("\0", "", StringComparison.Ordinal)],
            ["runs", "list", "--status", "\u001b[2J"],
        ];
        foreach (string[] command in commands)
            AssertClean(await CallAsync(command), string.Join(' ', command));
        Assert.Contains("\\u001b]0;pwned\\u0007", (await CallAsync("runs", "show", run.Id)).Output);
    }

    [Fact]
    public async Task Neither_a_run_here_nor_a_mistake_in_its_code_acts_upon_the_terminal()
    {
        using var folder = new TempFolder();
        string step = Path.Combine(folder.Path, "step.js"),
            broken = Path.Combine(folder.Path, "broken.js");
        File.WriteAllText(step, $"console.log({Escaped}); throw new Error({Escaped})");
        File.WriteAllText(broken, "const a = /* \u001b[2J\u202e */ ;");
        AssertClean(await SendoffCommand.RunAsync(["run", step]), "run");
        AssertClean(await SendoffCommand.RunAsync(["run", step, "--json"]), "run --json");
        var result = await CallAsync("deploy", broken);
        AssertClean(result, "deploy");
        Assert.Contains("\\u001b[2J\\u202e", result.Error);
        AssertClean(await SendoffCommand.RunAsync(["doctor", "--data", Path.Combine(folder.Path, "\u001b[2J\u202e")]), "doctor");
    }

    [Fact]
    public void No_log_line_acts_upon_the_terminal()
    {
        using var output = new StringWriter();
        var entry = new LogEntry<string>(
            LogLevel.Warning,
            "Sendoff.Engine",
            new(7),
            Attack,
            new InvalidOperationException(Attack),
            static (state, _) => state
        );
        new CleanConsoleFormatter().Write(entry, null, output);
        Assert.StartsWith("warn: Sendoff.Engine[7]\n      \\u001b]0;pwned\\u0007", output.ToString().ReplaceLineEndings("\n"));
        Assert.False(TerminalText.IsActive(output.ToString()));
    }

    [Fact]
    public void Commands_print_through_Output_only()
    {
        string source = Path.Combine(Path.GetDirectoryName(Here())!, "../../../src/Sendoff");
        foreach (string file in Directory.EnumerateFiles(source, "*.cs", SearchOption.AllDirectories))
        {
            if (
                file.EndsWith("/Commands/Output.cs", StringComparison.Ordinal)
                || file.Contains("/obj/", StringComparison.Ordinal)
                || file.Contains("/bin/", StringComparison.Ordinal)
            )
                continue;
            Assert.DoesNotMatch(
                @"(?<!Output\.)\bConsole\.(Out|Error|Write|WriteLine|OpenStandardOutput|OpenStandardError)\b|AnsiConsole\.",
                File.ReadAllText(file)
            );
        }
    }

    static string Here([System.Runtime.CompilerServices.CallerFilePath] string here = "") => here;

    // The receiver writes Latin-1.
    static string Latin(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));
}
