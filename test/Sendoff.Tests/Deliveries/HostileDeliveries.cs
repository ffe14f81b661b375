using System.Net;
using Sendoff.Commands.Hostile;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>What came of a delivery to a behaviour, and what the receiver saw of it.</summary>
sealed record HostileOutcome(HostileReport Report, Attempt Attempt, int Requests, bool EndedAtReceiver);

/// <summary>Meets every behaviour once, side by side, each with a receiver and a sender of its own.</summary>
public sealed class HostileDeliveries : IAsyncLifetime
{
    /// <summary>For what lasts to the deadline. The rest gets one that a busy machine does not reach.</summary>
    internal static readonly EngineLimits Short = new() { DeliveryDeadline = TimeSpan.FromSeconds(3) };
    static readonly EngineLimits @long = new() { DeliveryDeadline = TimeSpan.FromSeconds(60) };

    readonly Dictionary<string, HostileOutcome> outcomes = [];

    internal HostileOutcome this[HostileBehaviour behaviour] => outcomes[behaviour.Name];

    public async ValueTask InitializeAsync()
    {
        // First what ends by itself: it takes the processors, and what lasts to a short deadline should have them to itself.
        foreach (var behaviours in HostileBehaviours.All.GroupBy(LastsToDeadline).OrderBy(group => group.Key))
        {
            var met = await Task.WhenAll(behaviours.Select(async behaviour => (behaviour.Name, await MeetAsync(behaviour))));
            foreach (var (name, outcome) in met)
                outcomes[name] = outcome;
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    static bool LastsToDeadline(HostileBehaviour behaviour) => behaviour.Reports.Code == AttemptErrorCode.Timeout;

    static async Task<HostileOutcome> MeetAsync(HostileBehaviour behaviour)
    {
        await using var receiver = HostileReceiver.Start([behaviour]);
        var limits = LastsToDeadline(behaviour) ? Short : @long;
        var names = new NameResolver(limits, _ => new TaskCompletionSource<IPAddress[]>().Task);
        // The receiver's authority is trusted: only certificates that are bad in themselves are refused.
        using var sending = new Sending(limits, receiver.Roots, names);
        var send = new HttpSend(
            behaviour.Method,
            receiver.UrlOf(behaviour),
            [],
            behaviour.Method == "HEAD" ? default : new byte[behaviour.RequestBytes]
        );

        for (int i = 0; i < behaviour.Before; i++)
            Assert.Equal(DeliveryStatus.Succeeded, (await sending.SendAsync(send)).Status);
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
        if (!behaviour.Reports.KeepsConnection)
            await Wait.UntilAsync(() => receiver.Open == 0, $"the end of the connections of {behaviour.Name}");
        return receiver.Open == 0;
    }

    static HostileReport ReportOf(Attempt attempt, HostileBehaviour behaviour, bool keeps) =>
        new(attempt.Status, attempt.Response?.Status, attempt.Error?.Code, attempt.Error?.Phase)
        {
            Says = behaviour.Reports.Says is { } says && attempt.Error!.Message.Contains($"failed: {says}: ") ? says : null,
            Truncated = attempt.Response?.Truncated ?? false,
            AsBytes = attempt.Response is { BodyIsText: false },
            KeepsConnection = keeps,
        };
}
