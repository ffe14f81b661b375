using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>Headers that deliveries carry when a setting says so (A7, F1).</summary>
public sealed class AddedHeadersTests : IDisposable
{
    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    static string Step(Sink sink, string headers = "{}") =>
        $$"""$send.http({ method: "POST", url: "{{sink.Url}}", data: 1, headers: {{headers}} })""";

    [Fact]
    public async Task By_default_a_delivery_carries_neither()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path);
        await RunAsync(rig, "plain", Step(sink));

        var request = Assert.Single(sink.Requests);
        Assert.Equal((null, null), (request.Header("idempotency-key"), request.Header("traceparent")));
    }

    [Fact]
    public async Task The_key_is_the_delivery_and_stays_the_same_over_resends()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { DeliveryIdempotencyKey = true });
        var run = await RunAsync(rig, "keyed", Step(sink) + ";" + Step(sink));
        var first = run.Deliveries[0].Delivery;
        Assert.True(await rig.Dispatcher.ResendAsync(first.Id, Enum.GetValues<DeliveryStatus>(), default));
        await rig.EndOfAsync(run.Run.Id);

        Assert.Contains(new("idempotency-key", first.Id.ToString()), first.Request.Headers);
        string?[] keys = [.. sink.Requests.Select(r => r.Header("idempotency-key"))];
        Assert.Equal([first.Id.ToString(), first.Id.ToString(), run.Deliveries[1].Delivery.Id.ToString()], keys.Order());
    }

    [Theory]
    [InlineData(false, true, true)]
    [InlineData(true, false, false)]
    public async Task A_workflow_s_own_setting_wins_over_the_server_s(bool server, bool workflow, bool carried)
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { DeliveryIdempotencyKey = server });
        await RunAsync(rig, "own", Step(sink), $"{{ idempotency_key: {(workflow ? "true" : "false")} }}");

        Assert.Equal(carried, Assert.Single(sink.Requests).Header("idempotency-key") is not null);
    }

    [Fact]
    public async Task The_trace_is_the_run_and_the_span_the_delivery()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(folder.Path, new EngineLimits { DeliveryTraceparent = true });
        var run = await RunAsync(rig, "traced", Step(sink) + ";" + Step(sink));

        var expected = run.Deliveries.Select(d => $"00-{run.Run.Id.Value:x32}-{d.Delivery.Id.Value:x16}-01");
        Assert.Equal(expected, sink.Requests.Select(r => r.Header("traceparent")).Order());
        Assert.All(sink.Requests, r => Assert.Matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", r.Header("traceparent")));
    }

    [Fact]
    public async Task What_the_step_sets_itself_wins()
    {
        await using var sink = Sink.Start();
        await using var rig = await RunRig.StartAsync(
            folder.Path,
            new EngineLimits { DeliveryIdempotencyKey = true, DeliveryTraceparent = true }
        );
        await RunAsync(rig, "mine", Step(sink, """{ "Idempotency-Key": "mine", "TraceParent": "00-1" }"""));

        var headers = Assert.Single(sink.Requests).Headers.Where(h => h.Key.ToLowerInvariant() is "idempotency-key" or "traceparent");
        Assert.Equal([new("Idempotency-Key", "mine"), new("TraceParent", "00-1")], headers);
    }

    static async Task<Sendoff.Engine.Storage.StoredRun> RunAsync(RunRig rig, string name, string code, string settings = "{}")
    {
        var version = await rig.DeployAsync(name, code, settings: settings);
        return await rig.EndOfAsync((await rig.AcceptAsync(version)).Run.Id);
    }
}
