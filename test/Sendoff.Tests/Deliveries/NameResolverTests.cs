using System.Net;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class NameResolverTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    /// <summary>Lookups that hang as getaddrinfo does, with the thread that asked, until they are let go.</summary>
    sealed class Hanging : IDisposable
    {
        readonly ManualResetEventSlim gate = new();
        readonly SemaphoreSlim begun = new(0);

        public Task<IPAddress[]> LookUp(string name) =>
            name.StartsWith("known", StringComparison.Ordinal)
                ? Task.FromResult(new[] { IPAddress.Loopback })
                : NameResolver.OnOwnThread(() =>
                {
                    begun.Release();
                    gate.Wait();
                    return [IPAddress.Loopback];
                });

        public Task WaitForAsync(int lookups) => Wait.ForAsync(begun, lookups);

        public void LetGo() => gate.Set();

        public void Dispose() => gate.Set();
    }

    [Fact]
    public async Task Lookups_that_hang_end_at_the_deadline_and_harm_no_address_and_no_kept_connection()
    {
        var limits = new EngineLimits { ConnectionIdle = TimeSpan.FromMinutes(5), DeliveryDeadline = TimeSpan.FromMinutes(1) };
        using var hanging = new Hanging();
        var names = new NameResolver(limits, hanging.LookUp);
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending(limits, names: names);
        using var hurried = new Sending(limits with { DeliveryDeadline = TimeSpan.FromSeconds(2) }, names: names);
        await sending.PostAsync($"http://known.invalid:{receiver.Port}/");

        var hang = Enumerable
            .Range(0, limits.DnsLookups)
            .Select(i => hurried.PostAsync($"http://hangs-{i}.invalid:{receiver.Port}/"))
            .ToArray();
        await hanging.WaitForAsync(limits.DnsLookups);
        var other = await hurried.PostAsync($"http://other.invalid:{receiver.Port}/");
        var literal = await sending.PostAsync(receiver.Url);
        var kept = await sending.PostAsync($"http://known.invalid:{receiver.Port}/");

        Assert.Equal((DeliveryStatus.Succeeded, DeliveryStatus.Succeeded, true), (literal.Status, kept.Status, kept.ConnectionReused));
        Assert.All(
            [.. await Task.WhenAll(hang), other],
            attempt => Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Dns), (attempt.Error!.Code, attempt.Error.Phase))
        );
        Assert.Equal("timed out after 2,000 ms while resolving other.invalid", other.Error!.Message);
        Assert.Equal(limits.DnsLookups, names.InFlight); // nobody waits for the other one any more

        hanging.LetGo();
        Assert.Equal(DeliveryStatus.Succeeded, (await sending.PostAsync($"http://other.invalid:{receiver.Port}/")).Status);
    }

    [Fact]
    public async Task Names_that_wait_behind_hanging_ones_are_forgotten_when_nobody_waits_for_them()
    {
        var limits = new EngineLimits { DnsLookups = 1 };
        using var hanging = new Hanging();
        var names = new NameResolver(limits, hanging.LookUp);
        using var deadline = new CancellationTokenSource();
        var waiting = Enumerable.Range(0, 1_000).Select(i => names.ResolveAsync($"name-{i % 500}.invalid", deadline.Token)).ToArray();
        await hanging.WaitForAsync(1);
        Assert.Equal(500, names.InFlight);

        await deadline.CancelAsync();
        foreach (var task in waiting)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);
        Assert.Equal(1, names.InFlight);
    }

    [Fact]
    public async Task A_lookup_takes_no_thread_of_the_pool_and_those_who_ask_for_one_name_share_it()
    {
        int asked = 0;
        bool? onPool = null;
        using var gate = new ManualResetEventSlim();
        var names = new NameResolver(
            new EngineLimits(),
            _ =>
                NameResolver.OnOwnThread(() =>
                {
                    Interlocked.Increment(ref asked);
                    onPool = Thread.CurrentThread.IsThreadPoolThread;
                    gate.Wait();
                    return [IPAddress.Loopback];
                })
        );
        var waiting = Enumerable.Range(0, 50).Select(_ => names.ResolveAsync("one.invalid", CancellationToken.None)).ToArray();
        gate.Set();
        Assert.All(await Task.WhenAll(waiting), addresses => Assert.Equal([IPAddress.Loopback], addresses));
        Assert.Equal((1, false), (asked, onPool));
        Assert.Equal(0, names.InFlight);
    }
}
