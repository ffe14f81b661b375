using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using CsCheck;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Runs;

/// <summary>A4 through the real harness, the real frame and the real commit: a URL becomes a delivery or an error at the caller's line, and
/// costs no other send.</summary>
public sealed class SendUrlTests : IAsyncLifetime
{
    /// <summary>Valid URLs whose host cannot be a name in DNS.</summary>
    static readonly string[] unusable = ["http://./", "http://../", "http://foo.09..", "http://!\"$&'()*+,-.;=_`{}~/"];

    /// <summary>Answers for each URL what was thrown, or null.</summary>
    const string Step = """
        const thrown = [];
        for (const url of event.urls) {
          try { $send.http({ method: 'GET', url }); thrown.push(null); } catch (error) { thrown.push([error.code, error.message]); }
        }
        $send.http({ method: 'GET', url: 'http://last.example/' });
        return thrown;
        """;

    readonly TempFolder folder = new();
    RunRig rig = null!;
    WorkflowVersion version = null!;

    public async ValueTask InitializeAsync()
    {
        rig = await RunRig.StartAsync(folder.Path);
        version = await rig.DeployAsync("urls", Step);
    }

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        folder.Dispose();
    }

    [Fact]
    public async Task Every_url_of_web_platform_tests_is_sent_in_its_normal_form_or_refused()
    {
        string path = Path.Combine(RepositoryRoot(), "..", "shared", "data", "wpt-http-urls.json");
        Assert.SkipUnless(
            File.Exists(path),
            "the URLs of web-platform-tests are not here: put url/resources/urltestdata.json's http inputs at "
                + "../shared/data/wpt-http-urls.json"
        );
        var cases = JsonSerializer.Deserialize<WptCase[]>(await File.ReadAllTextAsync(path), JsonSerializerOptions.Web)!;

        // A password of one URL is masked in all others of its run (C8).
        var runs = cases.GroupBy(static one => one.Input.Contains('@') ? one.Input : "").ToList();
        cases = [.. runs.SelectMany(static run => run)];
        List<string> sent = [],
            refused = [];
        List<string?> thrown = [];
        foreach (var run in runs)
        {
            var (sentByRun, thrownByRun) = await SendAsync([.. run.Select(static one => one.Input)]);
            sent.AddRange(sentByRun);
            thrown.AddRange(thrownByRun);
        }

        int next = 0;
        for (int i = 0; i < cases.Length; i++)
        {
            if (thrown[i] is not null)
            {
                Assert.StartsWith("$send.http: invalid value ", thrown[i]);
                if (!cases[i].Failure)
                    refused.Add(cases[i].Input);
                continue;
            }
            Assert.False(cases[i].Failure, $"sent, although it is no URL: {cases[i].Input}");
            Assert.Equal(WithoutUserAndFragment(cases[i].Href!), sent[next++]);
        }
        Assert.Equal(next, sent.Count);
        Assert.Equal(unusable.Order(), refused.Order());
    }

    [Fact]
    public async Task Generated_hosts_are_sent_or_refused_and_the_commit_takes_what_is_sent()
    {
        var label = Gen.Frequency<string>(
            (6, Gen.Char.AlphaNumeric.Array[1, 8].Select(static c => new string(c))),
            (2, Gen.Int[60, 66].Select(static n => new string('a', n))),
            (
                2,
                Gen.OneOf(
                    "",
                    "xn--9ca",
                    "-",
                    "_",
                    "0x7f",
                    "09",
                    "4294967295",
                    "{tenant}",
                    "$HOST",
                    "%41",
                    "%2e",
                    "é",
                    "。",
                    "ß",
                    "[::1]",
                    "[fe80::1%25a]",
                    "*",
                    "a b"
                )
            ),
            (2, Gen.Char[' ', '~'].Array[1, 3].Select(static c => new string(c)))
        );
        var host = label.Array[1, 6].Select(static labels => string.Join('.', labels));
        var many = Gen.Int[20, 140].Select(static n => string.Concat(Enumerable.Repeat("y.", n)) + "test");
        var url = Gen.Select(
                Gen.Frequency<string>((9, host), (1, many)),
                Gen.OneOf("", ":80", ":0", ":65536", ":x", ".", "@", ":"),
                Gen.OneOf("http://", "https://", "HTTP:", "http:/")
            )
            .Select(static (host, behind, scheme) => $"{scheme}{host}{behind}/");

        await url.Array[50, 150]
            .SampleAsync(
                async urls =>
                {
                    var (sent, thrown) = await SendAsync(urls);
                    Assert.Equal(thrown.Count(static error => error is null), sent.Count);
                },
                iter: 12,
                threads: 1
            );
    }

    [Theory]
    [InlineData("http://a..b/")]
    [InlineData("http://{tenant}.x/")]
    [InlineData("http://$HOST/")]
    [InlineData("http://a+b.x/")]
    public async Task Url_that_cannot_be_sent_names_its_host_and_the_rule(string url)
    {
        var (sent, thrown) = await SendAsync([url]);

        Assert.Empty(sent);
        Assert.StartsWith($"$send.http: invalid value {url} for url: the host is {url[7..^1].ToLowerInvariant()}: a host is ", thrown[0]);
    }

    [Fact]
    public async Task Send_that_turns_out_to_be_impossible_is_a_failed_delivery_and_the_run_is_committed()
    {
        var executor = new RunExecutor(new Careless(), TestSecrets.Concealment(), rig.Ids, new EngineLimits(), TimeProvider.System);
        var program = new WorkerProgram("key", "wf_1", "test", 1, "", [], new Dictionary<string, string>(), 64, null);
        var accepted = await rig.AcceptAsync(version, """{"urls":[]}""");
        var executed = await executor.ExecuteAsync(accepted.Run, version, program, null, default);

        Assert.Equal([DeliveryStatus.Failed, DeliveryStatus.Pending], executed.Deliveries.Select(d => d.Status));
        Assert.Equal(AttemptErrorCode.Internal, executed.Deliveries[0].Error!.Code);
        var again = accepted.Run with { Id = new(rig.Ids.Next()), Replay = true };
        Assert.True(await rig.Store.AcceptAsync(again, default));
        Assert.True(await rig.Store.FinishRunAsync(executed.Run with { Id = again.Id }, executed.Deliveries, default));
    }

    /// <summary>Hands over what no harness lets through.</summary>
    sealed class Careless : IStepRunner
    {
        public IsolationState? InForce => null;

        public Task<ProgramCheck> CheckAsync(WorkerProgram program, CancellationToken ct) => throw new NotSupportedException();

        public Task RetireAsync(string workflowId) => Task.CompletedTask;

        public Task RunAsync(WorkerProgram program, WorkerRun run, CancellationToken ct)
        {
            run.End = WorkerEnd.Succeeded;
            run.Steps = [];
            run.Sends.Add(new(0, 0, new("GET", "http://a..b/", [], default)));
            run.Sends.Add(new(0, 1, new("GET", "http://a.example/", [], default)));
            return Task.CompletedTask;
        }
    }

    /// <summary>Sends each URL in one run whose sends are captured. What was sent, in order, without the last one; and what was
    /// thrown.</summary>
    async Task<(List<string> Sent, List<string?> Thrown)> SendAsync(string[] urls)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(new { urls });
        var accepted = await rig.Acceptance.AcceptAsync(version, QueuedRun.TestTrigger, json, default);
        var run = await rig.EndOfAsync(accepted!.Run.Id);
        Assert.True(run.Run.Status == RunStatus.Succeeded, run.Run.Message);
        Assert.Equal(RunStatus.Succeeded, run.Run.Status);
        Assert.Empty(run.Run.Steps[0].Warnings);
        Assert.All(run.Deliveries, delivery => Assert.Equal(DeliveryStatus.Captured, delivery.Delivery.Status));
        var sent = run.Deliveries.Select(static d => d.Delivery.Request.Url).ToList();
        Assert.Equal("http://last.example/", sent[^1]);
        var thrown = JsonElement
            .Parse(run.Run.Steps[0].Exports.Span)
            .GetProperty("$return_value")
            .EnumerateArray()
            .Select(static error =>
            {
                if (error.ValueKind == JsonValueKind.Null)
                    return null;
                Assert.Equal("SENDOFF_INVALID_SEND", error[0].GetString());
                return error[1].GetString();
            })
            .ToList();
        return (sent[..^1], thrown);
    }

    static string WithoutUserAndFragment(string href)
    {
        var url = new StringBuilder(href.Split('#')[0]);
        int start = href.IndexOf("//", StringComparison.Ordinal) + 2,
            end = href.IndexOfAny(['/', '?', '#'], start);
        int at = href.LastIndexOf('@', end - 1, end - start);
        return at < 0 ? url.ToString() : url.Remove(start, at + 1 - start).ToString();
    }

    static string RepositoryRoot([CallerFilePath] string path = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, "..", "..", ".."));

    sealed record WptCase(string Input, string? Href, bool Failure);
}
