using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>
/// The server is killed at random moments under load. What was acknowledged has a run, and no request arrives twice (B1, C7, E1).
/// <c>SENDOFF_CRASH_ROUNDS</c> sets how often; 5 unless told.
/// </summary>
public sealed class CrashTests
{
    const string Token = "a-token-for-crashing";
    const int Clients = 16;

    [Fact]
    public async Task Kill_at_random_moments_loses_no_acknowledged_event_and_sends_nothing_twice()
    {
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("SENDOFF_CRASH_ROUNDS"), out int given) ? given : 5;
        await using var receiver = Sink.Start();
        using var folder = new TempFolder();
        var acknowledged = new ConcurrentDictionary<int, string>(); // event number -> run id
        int numbers = 0;

        for (int round = 0; round < rounds; round++)
        {
            await using var server = await ServerProcess.StartAsync(folder.Path, Token);
            string hook = await server.DeployAsync("crash", Step(receiver.Url));
            using var killed = new CancellationTokenSource();
            var clients = Enumerable
                .Range(0, Clients)
                .Select(_ => PostAsync(server.Http, hook, () => Interlocked.Increment(ref numbers), acknowledged, killed.Token))
                .ToArray();
            int enough = acknowledged.Count + Random.Shared.Next(20, 400);
            await Wait.UntilAsync(() => acknowledged.Count >= enough);
            server.Kill();
            await killed.CancelAsync();
            await Task.WhenAll(clients);
        }

        await using var last = await ServerProcess.StartAsync(folder.Path, Token);
        var runs = await ReadAllRunsAsync(last.Http);
        Assert.True(runs.Count >= acknowledged.Count);
        Assert.All(acknowledged.Values, id => Assert.Equal(("succeeded", null), (runs[id].Status, runs[id].Message)));

        var received = receiver.Requests.CountBy(r => r.Target + " " + Encoding.UTF8.GetString(r.Body)).ToDictionary();
        Assert.All(received, request => Assert.Equal(1, request.Value));
        foreach (var run in runs.Values)
        {
            Assert.Equal(2, run.Steps[0].Deliveries.Count);
            foreach (var delivery in run.Steps[0].Deliveries)
            {
                string key = new Uri(delivery.Request.Url).AbsolutePath + " " + delivery.Request.Body;
                if (delivery.Status == "succeeded")
                    Assert.True(received.ContainsKey(key), $"{delivery.Id} is succeeded and never arrived");
                else
                    Assert.Equal(("interrupted", "interrupted"), (delivery.Status, delivery.Error!.Code));
            }
        }
    }

    static string Step(string url) =>
        $$"""
            $send.http({ method: "POST", url: "{{url}}first", data: { n: event.body.n } });
            $send.http({ method: "POST", url: "{{url}}second", data: { n: event.body.n } });
            """;

    static async Task PostAsync(
        HttpClient http,
        string hook,
        Func<int> next,
        ConcurrentDictionary<int, string> acknowledged,
        CancellationToken killed
    )
    {
        while (!killed.IsCancellationRequested)
        {
            int n = next();
            try
            {
                using var response = await http.PostAsync(
                    hook,
                    new StringContent($$"""{"n":{{n}}}""", Encoding.UTF8, "application/json"),
                    CancellationToken.None
                );
                if (response.IsSuccessStatusCode)
                    acknowledged[n] = response.Headers.GetValues("sendoff-run").Single();
            }
            catch (HttpRequestException)
            {
                return; // killed
            }
        }
    }

    // Waits until every run and every delivery has ended.
    static async Task<Dictionary<string, RunDocument>> ReadAllRunsAsync(HttpClient http)
    {
        foreach (string list in new[] { "runs?status=queued", "deliveries?status=pending", "deliveries?status=sending" })
            await Wait.UntilAsync(async () => await CountAsync(http, list) == 0, list);
        var runs = new Dictionary<string, RunDocument>();
        for (string? cursor = ""; cursor is not null; )
        {
            var page = JsonSerializer.Deserialize(
                await http.GetStringAsync("/api/v1/runs?limit=200" + (cursor.Length > 0 ? "&cursor=" + cursor : "")),
                ApiJson.Default.ListDocumentRunSummaryDocument
            )!;
            foreach (var item in page.Items)
                runs[item.Id] = JsonSerializer.Deserialize(
                    await http.GetStringAsync($"/api/v1/runs/{item.Id}"),
                    ApiJson.Default.RunDocument
                )!;
            cursor = page.NextCursor;
        }
        return runs;
    }

    static async Task<int> CountAsync(HttpClient http, string list)
    {
        using var document = JsonDocument.Parse(await http.GetStringAsync($"/api/v1/{list}&limit=1"));
        return document.RootElement.GetProperty("items").GetArrayLength();
    }
}
