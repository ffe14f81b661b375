using System.Text.Json;
using Sendoff.Commands.Hostile;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>C4: memory is bounded whatever the receiver does. Measured on a server that is a process of its own.</summary>
public sealed class HostileMemoryTests
{
    const int Bombs = 200,
        MostMb = 300;

    [Fact]
    public async Task Two_hundred_bombs_at_once_leave_the_server_below_300_MB()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        string[] names = ["gzip-bomb", "brotli-bomb", "deflate-bomb", "zstd-bomb", "endless-body", "endless-chunks"];
        var arrived = new CountdownEvent(Bombs);
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = Receiver.Start(async connection =>
        {
            string head = (await connection.ReadHeadAsync())!;
            if (arrived.Signal())
                all.SetResult();
            await all.Task;
            string name = head.Split(' ')[1][1..];
            await HostileBehaviours.All.Single(behaviour => behaviour.Name == name).Script(new HostileExchange(connection, head, 1));
            await connection.ReadToEndAsync();
        });
        using var folder = new TempFolder();
        // One destination gets an eighth of the free senders (B5).
        await using var server = await ServerProcess.StartAsync(
            folder.Path,
            "a-token-for-bombs",
            $"Delivery:MaxPerDestination={Bombs}",
            $"Delivery:MaxConcurrent={20 * Bombs}",
            "Delivery:Deadline=60s"
        );
        string hook = await server.DeployAsync(
            "bombs",
            $$"""
            const names = {{JsonSerializer.Serialize(names)}};
            for (let i = 0; i < {{Bombs}}; i++) $send.http({ method: "POST", url: "{{receiver.Url}}" + names[i % names.length], data: { i } });
            """
        );

        using var answer = await server.Http.PostAsync(hook, null);
        string run = answer.Headers.GetValues("sendoff-run").Single();
        await all.Task.WithinLimitAsync();
        await Wait.UntilAsync(() => receiver.Open == 0);
        int peak = server.PeakMemoryMb();
        TestContext.Current.SendDiagnosticMessage("{0} bombs at once: {1} MiB at most", Bombs, peak);

        Assert.Equal((Bombs, 0), (receiver.Connections, receiver.Open));
        Assert.InRange(peak, 1, MostMb);
        var deliveries = await DeliveriesAsync(server, run);
        Assert.All(deliveries, delivery => Assert.Equal(("succeeded", true), (delivery.Status, delivery.Attempts[0].Response!.Truncated)));
        // The document of a run leaves out large bodies.
        foreach (var delivery in deliveries)
        {
            var whole = JsonSerializer.Deserialize(
                await server.Http.GetStringAsync($"/api/v1/deliveries/{delivery.Id}"),
                ApiJson.Default.DeliveryDocument
            )!;
            Assert.StartsWith("aaaa", whole.Attempts[0].Response!.Body);
        }
    }

    /// <summary>The run's deliveries, once all are recorded.</summary>
    static async Task<IReadOnlyList<DeliveryDocument>> DeliveriesAsync(ServerProcess server, string run)
    {
        IReadOnlyList<DeliveryDocument> deliveries = [];
        await Wait.UntilAsync(async () =>
        {
            string text = await server.Http.GetStringAsync($"/api/v1/runs/{run}");
            deliveries = JsonSerializer.Deserialize(text, ApiJson.Default.RunDocument)!.Steps[0].Deliveries;
            return deliveries.All(delivery => delivery.Status is not ("pending" or "sending"));
        });
        return deliveries;
    }
}
