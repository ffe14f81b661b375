using System.Diagnostics;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>What editors are told of steps, checked by TypeScript itself.</summary>
public sealed class TypesCommandTests : IAsyncLifetime
{
    const string TypeScript = "typescript@5.9.3";
    static CancellationToken Ct => TestContext.Current.CancellationToken;
    readonly TempFolder folder = new();

    public async ValueTask InitializeAsync() => Assert.Equal(0, (await SendoffCommand.RunAsync(["types", folder.Path])).ExitCode);

    public ValueTask DisposeAsync()
    {
        folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>What TypeScript says of a step, a line each.</summary>
    async Task<string> CheckAsync(string source)
    {
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "step.mjs"), source, Ct);
        var (exit, said) = await CallAsync("npm", "install", "--no-save", "--no-audit", "--no-fund", "--silent", TypeScript);
        if (exit != 0)
        {
            string why = $"npm cannot install {TypeScript}: {said}";
            Assert.False(Environment.GetEnvironmentVariable("CI") == "true", why);
            Assert.Skip(why);
        }
        return (
            await CallAsync(
                "node",
                Path.Combine("node_modules", "typescript", "bin", "tsc"),
                "--noEmit",
                "-p",
                "jsconfig.json",
                "--pretty",
                "false"
            )
        ).Output;
    }

    async Task<(int ExitCode, string Output)> CallAsync(string command, params string[] args)
    {
        if (OperatingSystem.IsWindows() && command == "npm")
            command = "npm.cmd";
        using var process = Process.Start(
            new ProcessStartInfo(command, args)
            {
                WorkingDirectory = folder.Path,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        var errors = process.StandardError.ReadToEndAsync(Ct);
        string output = await process.StandardOutput.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        return (process.ExitCode, output.Length > 0 ? output : await errors);
    }

    [Fact]
    public async Task A_step_that_uses_all_there_is_has_no_mistake_and_mistakes_are_found_at_their_lines()
    {
        Assert.Equal(
            "",
            await CheckAsync(
                """
                export default defineComponent({
                  props: {
                    channel: { type: "string", label: "Channel" }, count: { type: "integer", default: 3 }, tags: { type: "string[]", optional: true },
                    slack: { type: "app", app: "slack" }, seen: { type: "data_store" }, db: "$.service.db",
                  },
                  methods: {
                    /** @param {number} n */
                    double(n) { return n * 2; },
                  },
                  async run({ steps, $ }) {
                    const name = this.channel.toUpperCase(), twice = this.double(this.count), first = this.tags?.[0].trim();
                    await this.seen.set(name, twice, { ttl: 60 });
                    this.db.set("n", 1);
                    $.send.http({ method: "POST", url: "https://example.com/", data: { name, first, token: this.slack.$auth.oauth_access_token }, params: { a: [1] }, auth: { username: "a", password: "b" } });
                    $.export("$summary", `${steps.trigger.event.body.id} ${process.env.HOME_PAGE}`);
                    const { resume_url } = $.flow.suspend(1000, { a: 1 });
                    await $.respond({ status: 201, body: { resume_url } });
                    for await (const [key, value] of this.seen) console.log(key, value);
                    if ($.context.run.runs > 1) return $.flow.exit("enough");
                    const file = await $.files.open("a.txt").fromUrl("https://example.com/a.txt");
                    return (await file.toBuffer()).length;
                  },
                });
                """
            )
        );

        string[] lines = (
            await CheckAsync(
                """
                export default defineComponent({
                  props: { channel: { type: "string" }, count: { type: "integer" } },
                  async run({ $ }) {
                    this.channel.toFixed();
                    this.count.toUpperCase();
                    const response = await $.send.http({ method: "GET", url: "https://example.com/" });
                    response.data;
                    $.send.http({ method: "POST", url: "https://example.com/", body: {} });
                    $.send.http({ url: "https://example.com/" });
                    $.send.slack({});
                    $.flow.delay();
                  },
                });
                """
            )
        ).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            ["4", "5", "7", "8", "9", "10", "11"],
            lines
                .Where(line => line.StartsWith("step.mjs(", StringComparison.Ordinal))
                .Select(line => line["step.mjs(".Length..line.IndexOf(',')])
        );
    }

    [Fact]
    public async Task A_configuration_that_is_there_stays()
    {
        string config = Path.Combine(folder.Path, "jsconfig.json");
        await File.WriteAllTextAsync(config, "{}", Ct);
        Assert.Equal(0, (await SendoffCommand.RunAsync(["types", folder.Path])).ExitCode);
        Assert.Equal("{}", await File.ReadAllTextAsync(config, Ct));
        Assert.Equal(2, (await SendoffCommand.RunAsync(["types", Path.Combine(folder.Path, "none")])).ExitCode);
    }
}
