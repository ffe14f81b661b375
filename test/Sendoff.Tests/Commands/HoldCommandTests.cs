using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary><c>sendoff serve --hold</c> and <c>sendoff hold</c>, with a real server process.</summary>
public sealed class HoldCommandTests
{
    const string Token = "a-token-for-the-hold";

    [Fact]
    public async Task Server_on_hold_delivers_nothing_also_after_a_crash_until_it_is_released_by_command()
    {
        using var folder = new TempFolder();
        await using var sink = Sink.Start();
        await using (var server = await ServerProcess.StartAsync(folder.Path, Token, "--hold"))
        {
            string hook = await server.DeployAsync("orders", $$"""$send.http({ method: "POST", url: "{{sink.Url}}" })""");
            (await server.Http.PostAsync(hook, null)).EnsureSuccessStatusCode();
            await Wait.UntilAsync(async () => (await server.Http.GetStringAsync("/api/v1/deliveries", Wait.Token)).Contains("\"pending\""));
            Assert.Contains("on hold since", await HoldAsync(server, "show"));
            server.Kill();
        }
        await using (var server = await ServerProcess.StartAsync(folder.Path, Token))
        {
            Assert.Contains("on hold      since", server.Said);
            Assert.Empty(sink.Requests);

            await HoldAsync(server, "release");

            await sink.WaitForRequestsAsync(1);
            await Wait.UntilAsync(async () =>
                (await server.Http.GetStringAsync("/api/v1/deliveries", Wait.Token)).Contains("\"succeeded\"")
            );
            Assert.Contains("not on hold", await HoldAsync(server, "show"));
        }
        await using (var server = await ServerProcess.StartAsync(folder.Path, Token))
            Assert.DoesNotContain("on hold", server.Said);
        Assert.Single(sink.Requests);
    }

    static async Task<string> HoldAsync(ServerProcess server, string what)
    {
        var result = await SendoffCommand.RunAsync(
            ["hold", what],
            environment: new Dictionary<string, string>
            {
                ["SENDOFF_SERVER"] = server.Http.BaseAddress!.ToString(),
                ["SENDOFF_TOKEN"] = Token,
            }
        );
        Assert.True(result.ExitCode == 0, result.Error);
        return result.Output;
    }
}
