using System.Text;
using System.Text.Json;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>S8: an export is written delivery by delivery, so that the server holds one of them and not all.</summary>
public sealed class ExportStreamTests
{
    const int Sends = 4,
        BodyBytes = 1_000_000;

    [Theory]
    [InlineData("har")]
    [InlineData("curl")]
    public async Task An_export_reaches_its_reader_before_the_last_delivery_is_read(string format)
    {
        await using var server = await TestServer.StartAsync();
        var run = await server.RunAsync(
            await server.DeployAsync(
                "large",
                $$"""
                for (let n = 0; n < {{Sends}}; n++) $send.http({ method: "POST", url: "http://127.0.0.1:1/" + n, data: "x".repeat({{BodyBytes}}) })
                """,
                "step.js"
            )
        );
        var ids = run.Steps[0].Deliveries.Select(delivery => delivery.Id).ToList();
        Assert.Equal(Sends, ids.Count);
        using SemaphoreSlim goOn = new(0);
        int read = 0;
        server.StoreEntering = method =>
        {
            if (method == nameof(IStore.GetDeliveryAsync) && Interlocked.Increment(ref read) == Sends)
                Assert.True(goOn.Wait(Wait.Limit));
        };

        using var response = await server.Http.GetAsync(
            $"/api/v1/runs/{run.Id}/{format}",
            HttpCompletionOption.ResponseHeadersRead,
            Wait.Token
        );
        using var reader = new StreamReader(await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync(Wait.Token));
        var text = new StringBuilder();
        var buffer = new char[64 * 1024];
        while (!text.ToString(Math.Max(0, text.Length - 200_000), Math.Min(text.Length, 200_000)).Contains(ids[Sends - 2]))
            text.Append(buffer, 0, await reader.ReadAsync(buffer, Wait.Token));
        goOn.Release();
        text.Append(await reader.ReadToEndAsync(Wait.Token));

        string whole = text.ToString();
        int at = -1;
        Assert.All(ids, id => Assert.True((at = whole.IndexOf(id, at + 1, StringComparison.Ordinal)) > 0));
        Assert.Equal(Sends, read);
        if (format == "har")
            Assert.Equal(Sends, JsonElement.Parse(whole).GetProperty("log").GetProperty("entries").GetArrayLength());
    }
}
