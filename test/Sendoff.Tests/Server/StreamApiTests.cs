using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary><c>/api/v1/stream</c> for one run.</summary>
public sealed class StreamApiTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Stream_of_a_run_tells_of_that_run_and_of_no_other()
    {
        string hook = await server.DeployAsync(
            "streamed",
            "export default defineComponent({ run({ $ }) { $.send.http({ method: 'GET', url: 'http://10.0.0.1/' }); } })"
        );
        var own = await server.RunAsync(hook);
        using var response = await server.Http.GetAsync($"/api/v1/stream?run={own.Id}", HttpCompletionOption.ResponseHeadersRead, Ct);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Ct));
        while (await reader.ReadLineAsync(Wait.Token) != ": listening") { }

        await server.RunAsync(hook);
        using var resent = await server.Http.PostAsync($"/api/v1/deliveries/{own.Steps[0].Deliveries[0].Id}/resend", null, Ct);
        Assert.True(resent.IsSuccessStatusCode, await resent.Content.ReadAsStringAsync(Ct));
        string? first;
        do first = await reader.ReadLineAsync(Wait.Token);
        while (first?.StartsWith("data:", StringComparison.Ordinal) == false);

        Assert.Contains($"\"runId\":\"{own.Id}\"", first, StringComparison.Ordinal);
    }
}
