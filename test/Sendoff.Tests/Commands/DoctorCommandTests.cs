using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary><c>sendoff doctor</c> as people call it.</summary>
public sealed class DoctorCommandTests
{
    [Fact]
    public async Task All_is_well_before_the_first_start_and_nothing_is_made()
    {
        using var folder = new TempFolder();
        string data = Path.Combine(folder.Path, "data");
        var result = await SendoffCommand.RunAsync(["doctor", "--data", data]);

        Assert.Equal(0, result.ExitCode);
        foreach (
            string said in (string[])
                ["node", "sandbox", "permission model on", "npm", "is created at the first start", "secret key", "egress", "clock"]
        )
            Assert.Contains(said, result.Output);
        Assert.False(Directory.Exists(data));
    }

    [Fact]
    public async Task How_npm_installs_is_said()
    {
        using var folder = new TempFolder();
        var result = await SendoffCommand.RunAsync(["doctor", "--json", "--data", folder.Path, "--set", "Workers:Sandbox=none"]);
        var npm = JsonElement
            .Parse(result.Output)
            .GetProperty("checks")
            .EnumerateArray()
            .Single(static check => check.GetProperty("name").GetString() == "npm");
        Assert.Equal("Warning", npm.GetProperty("status").GetString());
        Assert.Matches("without a sandbox.*Workers:Sandbox is none|there is no npm", npm.GetProperty("text").GetString());
    }

    [Fact]
    public async Task What_fails_ends_with_1_and_says_how_to_mend_it()
    {
        using var folder = new TempFolder();
        File.WriteAllText(Path.Combine(folder.Path, "sendoff.db"), "this is no database at all");
        var result = await SendoffCommand.RunAsync(["doctor", "--json", "--data", folder.Path, "--set", "Egress:Proxy=http://127.0.0.1:1"]);

        Assert.Equal(1, result.ExitCode);
        var document = JsonElement.Parse(result.Output);
        Assert.False(document.GetProperty("ok").GetBoolean());
        var failed = document
            .GetProperty("checks")
            .EnumerateArray()
            .Where(c => c.GetProperty("status").GetString() == "Failed")
            .ToDictionary(c => c.GetProperty("name").GetString()!, c => c.GetProperty("text").GetString()!);
        Assert.Equal(["database", "proxy", "secret key"], failed.Keys.Order());
        Assert.Contains("not a SQLite database", failed["database"]);
        Assert.Contains("restore it from a backup", failed["secret key"]);
        Assert.Contains("cannot be reached", failed["proxy"]);
    }

    [Fact]
    public async Task A_database_that_is_served_is_said_to_be()
    {
        using var folder = new TempFolder();
        await using var server = await ServerProcess.StartAsync(folder.Path, "a-token-for-doctors");
        var result = await SendoffCommand.RunAsync(["doctor", "--data", folder.Path]);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("in use by a server", result.Output);
    }
}
