using System.Net;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>What callers and operators see of a quota that is used up (E6).</summary>
public sealed class QuotaApiTests
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_event_over_quota_is_answered_kept_listed_and_released()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { QuotaInvocations = 1 });
        string hook = await server.DeployAsync("limited", "$respond({ body: 'ran' }); return 1", "step.js", response: "custom");
        using var first = await server.Http.PostAsync(hook, null, Ct);
        using var second = await server.Http.PostAsync(hook, null, Ct);
        string run = second.Headers.GetValues("sendoff-run").Single();

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Accepted), (first.StatusCode, second.StatusCode));
        Assert.Contains("quota is used up", await second.Content.ReadAsStringAsync(Ct));
        Assert.Equal("held", (await server.GetRunAsync(run)).Status);
        Assert.Contains(run, await server.Http.GetStringAsync("/api/v1/runs?status=held", Ct));
        var usage = JsonSerializer.Deserialize(await server.Http.GetStringAsync("/api/v1/usage", Ct), ApiJson.Default.UsageDocument)!;
        Assert.Equal((1, 1, null), (usage.Quota!.Invocations, usage.Quota.InvocationsPerDay, usage.Quota.ComputePerDayMs));

        Assert.Contains("Release</button>", await server.Http.GetStringAsync($"/runs/{run}", Ct));
        using var released = await server.Http.PostAsync($"/api/v1/runs/{run}/release", null, Ct);
        Assert.Equal(HttpStatusCode.NoContent, released.StatusCode);
        Assert.Equal("succeeded", (await server.EndOfAsync(run)).Status);
        using var again = await server.Http.PostAsync($"/api/v1/runs/{run}/release", null, Ct);
        using var unknown = await server.Http.PostAsync("/api/v1/runs/run_0000000000001/release", null, Ct);
        Assert.Equal((HttpStatusCode.Gone, HttpStatusCode.NotFound), (again.StatusCode, unknown.StatusCode));
    }
}
