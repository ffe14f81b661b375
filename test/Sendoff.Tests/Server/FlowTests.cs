using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>The addresses that <c>$.flow</c> gives out, and the same by the API.</summary>
public sealed class FlowTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;

    /// <summary>A run that is held, with the paths of its addresses.</summary>
    async Task<(RunDocument Run, string Resume, string Cancel)> HoldAsync(string name)
    {
        await using var told = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        string hook = await server.DeployAsync(
            name,
            $$"""
            export default defineComponent({ async run({ $ }) {
              const urls = $.flow.suspend(60000);
              console.log("ask", urls.resume_url);
              $.send.http({ method: "POST", url: "{{told.Url}}", data: urls });
              return urls;
            } })
            """
        );
        var run = await server.RunAsync(hook);
        Assert.Equal(("suspended", "suspend", "step"), (run.Status, run.Suspension!.Kind, run.Suspension.Step));
        // What is sent has the addresses; the record has not (C8).
        var urls = JsonElement.Parse(told.Request[told.Request.IndexOf('{')..]);
        return (run, Path(urls.GetProperty("resume_url")), Path(urls.GetProperty("cancel_url")));
    }

    static string Path(JsonElement url) => new Uri(url.GetString()!).AbsolutePath;

    [Fact]
    public async Task A_resume_url_lets_the_run_go_on_once_without_a_token()
    {
        using var anybody = server.NewClient();
        var (run, resume, _) = await HoldAsync("resumed");

        using var head = await anybody.SendAsync(new(HttpMethod.Head, resume), TestContext.Current.CancellationToken);
        using var first = await anybody.PostAsync(
            resume + "?by=mail",
            new StringContent("""{"ok":true}""", Encoding.UTF8, "application/json"),
            TestContext.Current.CancellationToken
        );
        using var second = await anybody.GetAsync(resume, TestContext.Current.CancellationToken);

        Assert.Equal(
            (HttpStatusCode.NoContent, HttpStatusCode.OK, HttpStatusCode.Gone),
            (head.StatusCode, first.StatusCode, second.StatusCode)
        );
        var released = (await first.Content.ReadFromJsonAsync(ApiJson.Default.ReleaseDocument, TestContext.Current.CancellationToken))!;
        var next = await server.EndOfAsync(released.ContinuedBy!);
        Assert.Equal(("succeeded", run.Id), (next.Status, next.Continues));
        var data = next.Steps[0].Exports.GetProperty("$resume_data");
        Assert.Equal(
            ("POST", "mail", true),
            (
                data.GetProperty("method").GetString(),
                data.GetProperty("query").GetProperty("by").GetString(),
                data.GetProperty("body").GetProperty("ok").GetBoolean()
            )
        );
        Assert.Equal(
            ("succeeded", next.Id),
            await server.GetRunAsync(run.Id) is var before ? (before.Status, before.ContinuedBy) : default
        );
    }

    [Fact]
    public async Task A_cancel_url_ends_the_run()
    {
        using var anybody = server.NewClient();
        var (run, resume, cancel) = await HoldAsync("canceled");

        using var canceled = await anybody.GetAsync(cancel, TestContext.Current.CancellationToken);
        using var late = await anybody.GetAsync(resume, TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Gone), (canceled.StatusCode, late.StatusCode));
        Assert.Equal(("failed", "canceled"), await server.GetRunAsync(run.Id) is var end ? (end.Status, end.Error!.Code) : default);
    }

    [Fact]
    public async Task A_resume_whose_workflow_has_a_full_queue_is_asked_to_come_again()
    {
        await using var gate = Sink.Start(hold: true);
        await using var told = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        await using var small = await TestServer.StartAsync(new EngineLimits { RunsQueued = 1 });
        string hook = await small.DeployAsync(
            "full",
            $$"""
            export default defineComponent({ async run({ steps, $ }) {
              if (steps.trigger.event.body?.gate) await fetch(steps.trigger.event.body.gate);
              else $.send.http({ method: "POST", url: "{{told.Url}}", data: $.flow.suspend(60000) });
            } })
            """
        );
        var run = await small.RunAsync(hook);
        // A run's place is free a moment after its end is stored.
        var status = HttpStatusCode.TooManyRequests;
        for (int i = 0; i < 1_000 && status == HttpStatusCode.TooManyRequests; i++)
        {
            using var response = await small.Http.PostAsync(
                hook,
                new StringContent($$"""{"gate":"{{gate.Url}}"}""", Encoding.UTF8, "application/json"),
                TestContext.Current.CancellationToken
            );
            status = response.StatusCode;
        }
        await gate.WaitForRequestsAsync(1);

        string resume = Path(JsonElement.Parse(told.Request[told.Request.IndexOf('{')..]).GetProperty("resume_url"));
        using var byUrl = await small.NewClient().PostAsync(resume, null, TestContext.Current.CancellationToken);
        using var byApi = await small.Http.PostAsync($"/api/v1/runs/{run.Id}/resume", null, TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.TooManyRequests), (byUrl.StatusCode, byApi.StatusCode));
        Assert.NotNull(byUrl.Headers.RetryAfter);
        gate.Release();
    }

    [Fact]
    public async Task Nothing_that_a_reader_sees_holds_the_addresses_of_a_held_run()
    {
        var (run, resume, cancel) = await HoldAsync("unseen");
        string[] paths =
        [
            $"/api/v1/runs/{run.Id}",
            "/api/v1/deliveries?workflow=unseen",
            $"/api/v1/runs/{run.Id}/har",
            $"/api/v1/runs/{run.Id}/curl",
            $"/runs/{run.Id}",
            $"/runs/{run.Id}?step=0&send={run.Steps[0].Deliveries[0].Id}",
        ];
        foreach (string path in paths)
        {
            string shown = await server.Http.GetStringAsync(path, TestContext.Current.CancellationToken);
            Assert.DoesNotContain(resume.Split('/')[^1], shown);
            Assert.DoesNotContain(cancel.Split('/')[^1], shown);
        }
        Assert.Contains("ask", run.Steps[0].Logs.Single().Text);
        // The next segment's record shows the step again.
        using var anybody = server.NewClient();
        using var resumed = await anybody.GetAsync(resume, TestContext.Current.CancellationToken);
        var released = (await resumed.Content.ReadFromJsonAsync(ApiJson.Default.ReleaseDocument, TestContext.Current.CancellationToken))!;
        var next = await server.EndOfAsync(released.ContinuedBy!);
        Assert.DoesNotContain(resume.Split('/')[^1], next.Steps[0].Exports.GetProperty("$return_value").GetRawText());
    }

    /// <summary>The signature is looked at before anything else of the run, or of the request.</summary>
    [Fact]
    public async Task A_wrong_signature_is_refused_without_reading_the_run_or_the_body()
    {
        var (run, resume, cancel) = await HoldAsync("checked");
        using var anybody = server.NewClient();
        int before = server.StoreCalls.GetValueOrDefault(nameof(IStore.GetRunAsync));
        foreach (string path in (string[])[resume, cancel])
        {
            string[] wrong =
            [
                path[..^1],
                path[..^21],
                path + "A",
                path.ToUpperInvariant().Replace("/RESUME/RUN", "/resume/run").Replace("/CANCEL/RUN", "/cancel/run"),
                path[..^1] + (path[^1] == 'A' ? 'B' : 'A'),
            ];
            foreach (string one in wrong)
            {
                using var body = new StreamContent(new NeverRead());
                body.Headers.ContentLength = 100_000_000;
                using var request = new HttpRequestMessage(HttpMethod.Post, one) { Content = body };
                request.Headers.ExpectContinue = true;
                using var refused = await anybody.SendAsync(
                    request,
                    HttpCompletionOption.ResponseHeadersRead,
                    TestContext.Current.CancellationToken
                );
                Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
            }
        }
        Assert.Equal(before, server.StoreCalls.GetValueOrDefault(nameof(IStore.GetRunAsync)));
        Assert.Equal("suspended", (await server.GetRunAsync(run.Id)).Status);
    }

    /// <summary>A body that a server must not ask for.</summary>
    sealed class NeverRead : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            throw new InvalidOperationException("the body was asked for");

        public override Task CopyToAsync(Stream destination, int bufferSize, CancellationToken cancellationToken) =>
            throw new InvalidOperationException("the body was asked for");
    }

    [Fact]
    public async Task An_address_that_no_workflow_gave_out_tells_nothing()
    {
        using var anybody = server.NewClient();
        var (run, resume, cancel) = await HoldAsync("signed");
        string sign = cancel.Split('/')[^1];
        List<string> answers = [];
        foreach (
            string path in (string[])
                [
                    $"/resume/{run.Id}/{sign}",
                    $"/resume/{run.Id}/x",
                    $"/resume/{run.Id}/",
                    $"/cancel/{run.Id}/{resume.Split('/')[^1]}",
                    $"/resume/run_0000000000001/{sign}",
                    $"/resume/x/{sign}",
                ]
        )
        {
            using var refused = await anybody.PostAsync(path, null, TestContext.Current.CancellationToken);
            if (path.EndsWith('/'))
                continue; // another address altogether
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
            answers.Add(await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        Assert.Single(answers.Distinct());
        Assert.Equal("suspended", (await server.GetRunAsync(run.Id)).Status);
    }

    [Fact]
    public async Task The_API_lets_runs_go_on_and_ends_them()
    {
        var (one, _, _) = await HoldAsync("by-api");
        var (other, _, _) = await HoldAsync("by-api");
        using var anybody = server.NewClient();
        using var refused = await anybody.PostAsync($"/api/v1/runs/{one.Id}/resume", null, TestContext.Current.CancellationToken);
        using var resumed = await server.Http.PostAsync(
            $"/api/v1/runs/{one.Id}/resume",
            new StringContent("[1]", Encoding.UTF8, "application/json"),
            TestContext.Current.CancellationToken
        );
        using var canceled = await server.Http.PostAsync($"/api/v1/runs/{other.Id}/cancel", null, TestContext.Current.CancellationToken);
        using var again = await server.Http.PostAsync($"/api/v1/runs/{other.Id}/cancel", null, TestContext.Current.CancellationToken);
        using var nobody = await server.Http.PostAsync(
            "/api/v1/runs/run_0000000000001/cancel",
            null,
            TestContext.Current.CancellationToken
        );

        Assert.Equal(
            [HttpStatusCode.Unauthorized, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.Gone, HttpStatusCode.NotFound],
            new[] { refused, resumed, canceled, again, nobody }.Select(response => response.StatusCode)
        );
        var next = await server.EndOfAsync(
            (await resumed.Content.ReadFromJsonAsync(ApiJson.Default.ReleaseDocument, TestContext.Current.CancellationToken))!.ContinuedBy!
        );
        var data = next.Steps[0].Exports.GetProperty("$resume_data");
        Assert.Equal("[1]", data.GetProperty("body").GetRawText());
        Assert.DoesNotContain(TestServer.Token, data.GetRawText());
    }

    [Fact]
    public async Task A_suspended_run_is_resumed_from_its_page()
    {
        var (run, _, _) = await HoldAsync("on-a-page");
        string page = await server.Http.GetStringAsync($"/runs/{run.Id}", TestContext.Current.CancellationToken);
        string next = await PressAsync($"/runs/{run.Id}/resume");

        Assert.Contains("waits for a request to its resume_url", page);
        Assert.NotEqual(run.Id, next);
        await server.EndOfAsync(next);
        Assert.Contains(
            $"Resumed from the run <a href=\"/runs/{run.Id}\"",
            await server.Http.GetStringAsync($"/runs/{next}", TestContext.Current.CancellationToken)
        );
        Assert.Contains(
            $"resumed as <a href=\"/runs/{next}\"",
            await server.Http.GetStringAsync($"/runs/{run.Id}", TestContext.Current.CancellationToken)
        );
        Assert.Equal(run.Id, await PressAsync($"/runs/{run.Id}/cancel"));
    }

    /// <summary>Posts as a button does, and answers the run that it leads to.</summary>
    async Task<string> PressAsync(string path)
    {
        using var browser = server.NewClient();
        browser.DefaultRequestHeaders.Authorization = server.Http.DefaultRequestHeaders.Authorization;
        using var answer = await browser.PostAsync(path, null, TestContext.Current.CancellationToken);
        return answer.Headers.Location!.OriginalString["/runs/".Length..];
    }

    [Fact]
    public async Task Held_runs_are_listed_by_their_status()
    {
        var (run, _, _) = await HoldAsync("listed");
        Assert.Contains(
            run.Id,
            await server.Http.GetStringAsync("/api/v1/runs?status=suspended&workflow=listed", TestContext.Current.CancellationToken)
        );
    }
}
