using System.Net;
using Sendoff.Commands.Hostile;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>What came of a delivery to a behaviour, and what the receiver saw of it.</summary>
sealed record HostileOutcome(HostileReport Report, Attempt Attempt, int Requests, bool EndedAtReceiver);

/// <summary>Meets every behaviour once, all side by side, each with a receiver and a sender of its own.</summary>
public sealed class HostileDeliveries : IAsyncLifetime
{
    /// <summary>For what lasts to the deadline. The rest gets one that a busy machine does not reach.</summary>
    internal static readonly EngineLimits Short = new() { DeliveryDeadline = TimeSpan.FromSeconds(2) }, Long = new() { DeliveryDeadline = TimeSpan.FromSeconds(60) };

    readonly Dictionary<string, HostileOutcome> outcomes = [];

    internal HostileOutcome this[HostileBehaviour behaviour] => outcomes[behaviour.Name];

    public async ValueTask InitializeAsync()
    {
        var met = await Task.WhenAll(HostileBehaviours.All.Select(async behaviour => (behaviour.Name, await MeetAsync(behaviour))));
        foreach (var (name, outcome) in met) outcomes[name] = outcome;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    static async Task<HostileOutcome> MeetAsync(HostileBehaviour behaviour)
    {
        await using var receiver = HostileReceiver.Start([behaviour]);
        var limits = behaviour.Reports.Code == AttemptErrorCode.Timeout ? Short : Long;
        var names = new NameResolver(limits, _ => new TaskCompletionSource<IPAddress[]>().Task);
        // The receiver's authority is trusted where its certificate is not what the behaviour is about.
        using var sending = new Sending(limits, receiver.Roots, names);
        var send = new HttpSend(behaviour.Method, receiver.UrlOf(behaviour), [], behaviour.Method == "HEAD" ? default : new byte[behaviour.RequestBytes]);

        for (int i = 0; i < behaviour.Before; i++) Assert.Equal(DeliveryStatus.Succeeded, (await sending.SendAsync(send)).Status);
        var attempt = await sending.SendAsync(send);
        Assert.Equal(behaviour.Before > 0, attempt.ConnectionReused);
        int requests = receiver.Requests - behaviour.Before;
        bool ended = !behaviour.IsDeaf && await EndsAsync(receiver, behaviour);
        bool keeps = attempt.Response is not null && (await sending.GetAsync(receiver.UrlOf(behaviour) + "-not")).ConnectionReused;
        return new(ReportOf(attempt, behaviour, keeps), attempt, requests, ended);
    }

    /// <summary>Waits until the receiver has seen its connections end, where they are to end.</summary>
    static async Task<bool> EndsAsync(HostileReceiver receiver, HostileBehaviour behaviour)
    {
        for (int i = 0; i < 1_000 && !behaviour.Reports.KeepsConnection && receiver.Open > 0; i++) await Task.Delay(10);
        return receiver.Open == 0;
    }

    static HostileReport ReportOf(Attempt attempt, HostileBehaviour behaviour, bool keeps) =>
        new(attempt.Status, attempt.Response?.Status, attempt.Error?.Code, attempt.Error?.Phase)
        {
            Says = behaviour.Reports.Says is { } says && attempt.Error!.Message.Contains($"{says}: ") ? says : null,
            Truncated = attempt.Response?.Truncated ?? false,
            AsBytes = attempt.Response is { BodyIsText: false },
            KeepsConnection = keeps,
        };
}

public sealed class HostileReceiverTests(HostileDeliveries deliveries) : IClassFixture<HostileDeliveries>
{
    public static TheoryData<string> Names => [.. HostileBehaviours.All.Select(behaviour => behaviour.Name)];

    static HostileBehaviour Named(string name) => HostileBehaviours.All.Single(behaviour => behaviour.Name == name);

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_is_reported_as_what_it_is(string name)
    {
        var (behaviour, met) = (Named(name), deliveries[Named(name)]);
        Assert.Equal((behaviour.Reports, met.Attempt.Error?.Message), (met.Report, met.Attempt.Error?.Message));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_it_gets_no_second_request(string name)
    {
        // Without a session, and behind a name that is not found, it gets none at all.
        Assert.InRange(deliveries[Named(name)].Requests, 0, 1);
        if (Named(name) is { Listener: null, Host: null }) Assert.Equal(1, deliveries[Named(name)].Requests);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_the_deadline_holds(string name)
    {
        var timing = deliveries[Named(name)].Attempt.Timing;
        if (Named(name).Reports.Code != AttemptErrorCode.Timeout) return;
        Assert.InRange(timing.TotalMs, HostileDeliveries.Short.DeliveryDeadline.TotalMilliseconds - 50, HostileDeliveries.Short.DeliveryDeadline.TotalMilliseconds + 1_500);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Whatever_a_receiver_does_the_phases_add_up(string name)
    {
        var timing = deliveries[Named(name)].Attempt.Timing;
        double?[] phases = [timing.DnsMs, timing.ConnectMs, timing.TlsMs, timing.WriteMs, timing.WaitMs, timing.ReadMs];
        Assert.All(phases, phase => Assert.True(phase is null or >= 0));
        Assert.Equal(timing.TotalMs, phases.Sum(phase => phase ?? 0), 0.1);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_connection_that_must_not_be_used_again_is_closed(string name)
    {
        var behaviour = Named(name);
        if (!behaviour.IsDeaf) Assert.Equal(!behaviour.Reports.KeepsConnection, deliveries[behaviour].EndedAtReceiver);
    }
}
