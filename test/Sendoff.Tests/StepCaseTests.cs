using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>
/// Steps as people write them, with the event that they get and the run document that comes of it: test/cases/*.yaml. Of the document, what
/// a case names has to be there; a list has as many items as named, and a text that begins with ~ is a pattern. All sends are captured.
/// </summary>
public sealed class StepCaseTests(StepCaseTests.Workers workers) : IClassFixture<StepCaseTests.Workers>
{
    const string Step = "step";
    static readonly Dictionary<string, JsonObject> cases = StepCases.Read("cases").ToDictionary(found => (string)found["name"]!);

    /// <summary>One pool for all cases.</summary>
    public sealed class Workers : IAsyncDisposable
    {
        internal EngineLimits Limits { get; } = new() { WorkersMax = 4 };
        internal Concealment Concealment { get; } = TestSecrets.Concealment();
        internal WorkerPool Pool { get; }

        public Workers() =>
            Pool = new(TestNode.Runtime, Limits, TimeProvider.System, NullLogger<WorkerPool>.Instance)
            {
                Isolation = new() { Mode = SandboxMode.None },
                Calls = program => new StepStores(
                    new MemoryDataStores(TimeProvider.System),
                    program,
                    Concealment,
                    Limits,
                    TimeProvider.System
                ),
            };

        public ValueTask DisposeAsync() => Pool.DisposeAsync();
    }

    public static TheoryData<string> Names => [.. cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_run_is_as_the_case_says(string name)
    {
        var found = cases[name];
        var document = await RunAsync(found);
        var differences = new List<string>();
        StepCases.Compare(found["expect"], JsonSerializer.SerializeToNode(document, ApiJson.Default.RunDocument), "run", differences);
        Assert.True(
            differences.Count == 0,
            string.Join('\n', differences) + "\n" + JsonSerializer.Serialize(document, ApiJson.Default.RunDocument)
        );
    }

    async Task<RunDocument> RunAsync(JsonObject found)
    {
        using var folder = new TempFolder();
        var files = Files(found);
        foreach (var (path, text) in files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder.Path, path))!);
            await File.WriteAllTextAsync(Path.Combine(folder.Path, path), text, TestContext.Current.CancellationToken);
        }
        var read = WorkflowReader.Read("case", files);
        Assert.True(read.Definition is not null, string.Join('\n', read.Problems));
        var definition = read.Definition!;
        var environment = found["env"]?.AsObject().ToDictionary(pair => pair.Key, pair => (string)pair.Value!) ?? [];
        var accounts =
            found["accounts"]
                ?.AsObject()
                .ToDictionary(
                    app => app.Key,
                    app =>
                        (IReadOnlyDictionary<string, string>)
                            app.Value!.AsObject().ToDictionary(field => field.Key, field => (string)field.Value!)
                )
            ?? [];
        var program = new WorkerProgram(
            folder.Path,
            "wf_1",
            "case",
            1,
            folder.Path,
            ProgramSteps.Of(definition, files),
            environment,
            64,
            Concurrency: 1
        )
        {
            Accounts = accounts,
            CustomResponse = definition.Triggers.Any(trigger => trigger is HttpTrigger { Response.FromRun: true }),
            Flow = new("http://localhost", new byte[32]),
        };
        var ids = new IdSequence(TimeProvider.System);
        byte[] json = Encoding.UTF8.GetBytes((found["event"] ?? new JsonObject()).ToJsonString());
        var received = new Event(
            new(ids.Next()),
            WorkspaceId.Default,
            default,
            QueuedRun.TestTrigger,
            TimeProvider.System.GetUtcNow(),
            json
        );
        var executor = new RunExecutor(workers.Pool, workers.Concealment, ids, workers.Limits, TimeProvider.System);
        var executed = await executor.ExecuteAsync(
            new(new(ids.Next()), received, 1),
            new(default, "case", 1, default, files, definition),
            program,
            null,
            TestContext.Current.CancellationToken
        );

        // C8: the record is what a store would hold.
        var mask = MaskedRecords.MaskOf(executed.Run, executed.Deliveries, new SecretMask([.. environment.Values]));
        return RunDocument.From(
            new(
                executed.Run.Masked(mask),
                "case",
                [.. executed.Deliveries.Select(delivery => new StoredDelivery(delivery.Masked(mask), "case", []))]
            )
        );
    }

    static Dictionary<string, string> Files(JsonObject found)
    {
        var files = found["files"]?.AsObject().ToDictionary(file => file.Key, file => (string)file.Value!) ?? [];
        if (found["steps"] is JsonObject steps)
        {
            foreach (var (name, source) in steps)
                files[$"{name}.js"] = (string)source!;
            files["workflow.yaml"] =
                "steps:\n" + string.Concat(steps.Select(step => $"  - {{ namespace: {step.Key}, uses: ./{step.Key}.js }}\n"));
        }
        if ((string?)found["source"] is { } only)
            files[(string?)found["file"] ?? $"{Step}.js"] = only;
        if ((string?)found["yaml"] is { } yaml)
            files["workflow.yaml"] = yaml;
        // JSON is YAML.
        else if (found["props"] is { } props)
            files["workflow.yaml"] =
                $"steps: [ {{ namespace: {Step}, uses: ./{(string?)found["file"] ?? $"{Step}.js"}, props: {props.ToJsonString()} }} ]";
        else if ((string?)found["file"] is { } file)
            files["workflow.yaml"] = $"steps: [ {{ namespace: {Step}, uses: ./{file} }} ]";
        return files;
    }
}
