using System.Net;
using System.Net.Http.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>A server on hold by API, page and command.</summary>
public sealed class HoldApiTests
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    static Task<TestServer> StartAsync(bool hold = true) => TestServer.StartAsync(with: options => options with { Hold = hold });

    static async Task<DateTimeOffset?> SinceAsync(TestServer server) =>
        (await server.Http.GetFromJsonAsync("/api/v1/hold", ApiJson.Default.HoldDocument, Ct))!.Since;

    [Fact]
    public async Task A_hold_is_shown_released_once_and_then_gone()
    {
        await using var server = await StartAsync();
        Assert.NotNull(await SinceAsync(server));
        Assert.Contains("On hold", await server.Http.GetStringAsync("/settings", Ct));

        using (var released = await server.Http.PostAsync("/api/v1/hold/release", null, Ct))
            Assert.Equal(HttpStatusCode.OK, released.StatusCode);

        Assert.Null(await SinceAsync(server));
        Assert.DoesNotContain("On hold", await server.Http.GetStringAsync("/settings", Ct));
        using var again = await server.Http.PostAsync("/api/v1/hold/release", null, Ct);
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
    }

    [Fact]
    public async Task The_pages_button_releases_a_hold()
    {
        await using var server = await StartAsync();
        using var released = await server.Http.PostAsync("/settings/release", null, Ct);
        Assert.Null(await SinceAsync(server));
    }

    [Fact]
    public async Task The_command_shows_and_releases_a_hold_of_a_server_that_was_started_with_it()
    {
        await using var server = await StartAsync();
        string[] where = ["--server", server.Address.ToString(), "--token", TestServer.Token];

        Assert.StartsWith("on hold since ", (await SendoffCommand.RunAsync(["hold", "show", .. where])).Output);
        var released = await SendoffCommand.RunAsync(["hold", "release", .. where]);
        Assert.Equal((0, "released\n"), (released.ExitCode, released.Output));
        Assert.Equal("not on hold\n", (await SendoffCommand.RunAsync(["hold", "show", .. where])).Output);
        Assert.NotEqual(0, (await SendoffCommand.RunAsync(["hold", "release", .. where])).ExitCode);
    }
}
