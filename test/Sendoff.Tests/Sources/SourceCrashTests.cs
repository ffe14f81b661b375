using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Sources;

/// <summary>The server is killed while a source gets and emits events: none is lost, and none starts its workflow twice (K2).</summary>
public sealed class SourceCrashTests
{
    const string Token = "a-token-for-crashing";

    static readonly Dictionary<string, string> files = SourceRig.Files(
        """
        export default {
          dedupe: "unique",
          props: { db: "$.service.db", http: "$.interface.http" },
          async run(event) {
            const { n } = event.body;
            this.$emit({ n }, { id: n });
            this.db.set("n" + n, (this.db.get("n" + n) ?? 0) + 1);
            return this.db.get("n" + n);
          },
        };
        """
    );

    [Fact]
    public async Task Kill_at_random_moments_loses_no_event_of_a_source_and_emits_none_twice()
    {
        using var folder = new TempFolder();
        var acknowledged = new ConcurrentBag<int>();
        int numbers = 0;
        await using (var server = await ServerProcess.StartAsync(folder.Path, Token))
        {
            string hook = await DeployAsync(server.Http);
            var clients = Enumerable
                .Range(0, 4)
                .Select(_ => PostAsync(server.Http, hook, () => Interlocked.Increment(ref numbers), acknowledged))
                .ToArray();
            int enough = Random.Shared.Next(20, 80);
            await Wait.UntilAsync(() => acknowledged.Count >= enough);
            server.Kill();
            await Task.WhenAll(clients);
        }

        await using var last = await ServerProcess.StartAsync(folder.Path, Token);
        foreach (
            string list in new[] { "runs?status=queued", "deliveries?status=pending", "deliveries?status=sending", "runs?status=queued" }
        )
            await Wait.UntilAsync(async () => (await ReadAsync(last.Http, list)).Count == 0, list);
        var runs = await ReadAsync(last.Http, "runs?limit=200");
        var emitted = new List<int>();
        foreach (var run in runs)
        {
            var document = JsonSerializer.Deserialize(
                await last.Http.GetStringAsync($"/api/v1/runs/{run.GetProperty("id").GetString()}"),
                ApiJson.Default.RunDocument
            )!;
            Assert.Equal("succeeded", document.Status);
            var value = document.Steps[0].Exports.GetProperty("$return_value");
            if (document.Trigger == "emit")
                emitted.Add(value.GetProperty("n").GetInt32());
            else
                Assert.Equal(1, value.GetInt32()); // what a killed run kept is gone with it
        }
        Assert.Equal(emitted.Distinct().Count(), emitted.Count);
        Assert.Empty(acknowledged.Except(emitted));
    }

    static async Task<string> DeployAsync(HttpClient http)
    {
        using var response = await http.PutAsync("/api/v1/workflows/feed", SourceRig.JsonContent(new(files)));
        return new Uri((await response.Content.ReadFromJsonAsync(ApiJson.Default.WorkflowDocument))!.Triggers[0].Url!).AbsolutePath;
    }

    static async Task PostAsync(HttpClient http, string hook, Func<int> next, ConcurrentBag<int> acknowledged)
    {
        while (true)
        {
            int n = next();
            try
            {
                using var response = await http.PostAsync(hook, JsonContent.Create(new { n }));
                if (response.IsSuccessStatusCode)
                    acknowledged.Add(n);
            }
            catch (HttpRequestException)
            {
                return; // killed
            }
        }
    }

    static async Task<List<JsonElement>> ReadAsync(HttpClient http, string list)
    {
        var all = new List<JsonElement>();
        string? cursor = null;
        do
        {
            var page = JsonElement.Parse(await http.GetStringAsync($"/api/v1/{list}{(cursor is null ? "" : $"&cursor={cursor}")}"));
            all.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("nextCursor").GetString();
        } while (cursor is not null);
        return all;
    }
}
