using System.Net;
using System.Net.Sockets;
using Sendoff.Engine;
using Sendoff.Tests.Runs;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>B5, told by counts: no attempt at the dead destination ends in the time of a test, so whatever the good one gets, it gets
/// beside it.</summary>
public sealed class FairnessTests : IDisposable
{
    static readonly EngineLimits patient = new() { DeliveryDeadline = TimeSpan.FromHours(1) };

    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    static string Sends(int rounds, params string[] urls) =>
        $"for (let i = 0; i < {rounds}; "
        + $"i++) {{ {string.Join(' ', urls.Select(url => $$"""$send.http({ method: "POST", url: "{{url}}", data: `${i}` });"""))} }}";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_thousand_deliveries_to_a_dead_destination_hold_up_none_of_a_thousand_to_a_good_one(bool accepts)
    {
        await using var good = Sink.Start();
        await using var silent = Sink.Start(hold: true);
        using var deaf = new DeafReceiver();
        string dead = accepts ? silent.Url : deaf.Url;
        await using var rig = await RunRig.StartAsync(folder.Path, patient);
        var version = await rig.DeployAsync("orders", Sends(500, dead, good.Url));
        await rig.AcceptAsync(version);
        await rig.AcceptAsync(version);

        await good.WaitForRequestsAsync(1_000);
        Assert.Equal(1_000, await CountAsync(rig, DeliveryStatus.Succeeded, atLeast: 1_000));
        Assert.Equal(0, await CountAsync(rig, DeliveryStatus.Failed));
        // The dead one's bound, and not a sender more.
        Assert.InRange(await CountAsync(rig, DeliveryStatus.Sending), 1, patient.DeliveryMaxPerDestination);
        Assert.Equal(1_000, good.Requests.Count);
    }

    [Fact]
    public async Task A_good_destination_has_as_many_senders_beside_a_dead_one_as_alone()
    {
        await using var good = Sink.Start(hold: true);
        await using var dead = Sink.Start(hold: true);
        await using var rig = await RunRig.StartAsync(folder.Path, patient);
        await rig.AcceptAsync(await rig.DeployAsync("dead", Sends(1_000, dead.Url)));
        await dead.WaitForRequestsAsync(patient.DeliveryMaxPerDestination);
        await rig.AcceptAsync(await rig.DeployAsync("good", Sends(200, good.Url)));

        await good.WaitForRequestsAsync(patient.DeliveryMaxPerDestination);
    }

    /// <summary>Waits until there are so many.</summary>
    static async Task<int> CountAsync(RunRig rig, DeliveryStatus status, int atLeast = 0)
    {
        int count = 0;
        await Wait.UntilAsync(async () =>
            (count = (await rig.Store.ListDeliveriesAsync(new(null, status, null, null, null, null, null, 2_000), default)).Items.Count)
            >= atLeast
        );
        return count;
    }

    /// <summary>Its queue of connections is full and nobody takes any: whoever dials it now hears nothing.</summary>
    sealed class DeafReceiver : IDisposable
    {
        readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        readonly List<Socket> crowd = [];

        public DeafReceiver()
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen(0);
            for (int i = 0; i < 8; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                crowd.Add(socket);
                Assert.Throws<SocketException>(() => socket.Connect(listener.LocalEndPoint!)); // in progress, as it does not block
            }
        }

        public string Url => $"http://{listener.LocalEndPoint}/";

        public void Dispose()
        {
            listener.Dispose();
            foreach (var socket in crowd)
                socket.Dispose();
        }
    }
}
