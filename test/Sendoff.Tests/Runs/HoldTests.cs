using Microsoft.Extensions.Time.Testing;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>A server on a restored backup: it repeats nothing until somebody releases it.</summary>
public sealed class HoldTests : IDisposable
{
    readonly TempFolder folder = new();

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    static string Send(Sink sink) => $$"""$send.http({ method: "POST", url: "{{sink.Url}}", data: { n: event.n } }); return event.n""";

    [Fact]
    public async Task What_a_backup_left_waits_over_restarts_until_the_hold_is_released_and_then_goes_out_once()
    {
        await using var sink = Sink.Start();
        RunId pending,
            left,
            fresh;
        await using (var rig = await RunRig.StartAsync(folder.Path, hold: true))
        {
            var version = await rig.DeployAsync("orders", Send(sink));
            pending = (await rig.AcceptAsync(version, """{"n":1}""")).Run.Id;
            await rig.UntilEndedAsync(pending);
            left = new(rig.Ids.Next());
            Assert.True(
                await rig.Store.AcceptAsync(
                    new(
                        left,
                        new(
                            new(rig.Ids.Next()),
                            WorkspaceId.Default,
                            version.WorkflowId,
                            "http",
                            TimeProvider.System.GetUtcNow(),
                            """{"n":2}"""u8.ToArray()
                        ),
                        1
                    ),
                    Ct
                )
            );
        }
        // Without --hold, as a service manager restarts it.
        await using var next = await RunRig.StartAsync(folder.Path);
        Assert.True(next.Hold.IsOn);
        fresh = (await next.AcceptAsync(next.Catalog.FindTrigger("orders")!.Version, """{"n":3}""")).Run.Id;
        await next.UntilEndedAsync(fresh);
        foreach (var run in (RunId[])[pending, fresh])
            Assert.Equal(DeliveryStatus.Pending, Assert.Single((await next.Store.GetRunAsync(run, Ct))!.Deliveries).Delivery.Status);
        Assert.Equal(RunStatus.Queued, (await next.Store.GetRunAsync(left, Ct))!.Run.Status);
        Assert.Empty(sink.Requests);

        Assert.True(await next.Hold.ReleaseAsync(next.Store, Ct));
        Assert.False(await next.Hold.ReleaseAsync(next.Store, Ct));

        foreach (var run in (RunId[])[pending, left, fresh])
            Assert.Equal(DeliveryStatus.Succeeded, Assert.Single((await next.EndOfAsync(run)).Deliveries).Delivery.Status);
        Assert.Equal(
            ["""{"n":1}""", """{"n":2}""", """{"n":3}"""],
            sink.Requests.Select(request => System.Text.Encoding.UTF8.GetString(request.Body)).Order()
        );
        Assert.Null(await next.Store.GetHoldAsync(Ct));
    }

    [Fact]
    public async Task Schedules_suspended_runs_and_runs_over_quota_wait_too()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T08:00:30Z"));
        await using var rig = await RunRig.StartAsync(folder.Path, time: clock, hold: true);
        var deployed = await rig.Catalog.DeployAsync(
            "clock",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] = "triggers: [ { type: schedule, every: 1m } ]\nsteps: [ { namespace: step, uses: ./step.js } ]",
                ["step.js"] = "return 1",
            },
            Ct
        );
        Assert.Empty(deployed.Problems);
        var looked = new SemaphoreSlim(0);
        rig.Schedule.Looked += () => looked.Release();
        rig.Suspensions.Looked += () => looked.Release();
        rig.Schedule.Start();
        rig.Suspensions.Start();
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Empty((await rig.Store.ListEventsAsync(new(null, null, null, null, 10), Ct)).Items);
        Assert.Equal(0, looked.CurrentCount);

        await rig.Hold.ReleaseAsync(rig.Store, Ct);

        await Wait.ForAsync(looked, 2);
        Assert.Single((await rig.Store.ListEventsAsync(new(null, null, null, null, 10), Ct)).Items);
    }

    [Fact]
    public async Task A_server_that_was_not_put_on_hold_is_not()
    {
        await using var rig = await RunRig.StartAsync(folder.Path);
        Assert.False(rig.Hold.IsOn);
        Assert.True(rig.Hold.Released.IsCompleted);
        Assert.False(await rig.Hold.ReleaseAsync(rig.Store, Ct));
    }
}
