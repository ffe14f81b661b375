using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>A pool over real Node.js, and programs of a few lines each.</summary>
sealed class WorkerRig : IAsyncDisposable
{
    public static readonly NodeRuntime Node = new(new NodeOptions(), NullLogger<NodeRuntime>.Instance);

    readonly string root;
    int programs;

    public WorkerRig(
        EngineLimits? limits = null,
        string? harness = null,
        string? sockets = null,
        SandboxOptions? isolation = null,
        string? folder = null,
        Func<WorkerProgram, IStepCalls>? calls = null,
        TimeProvider? time = null
    )
    {
        root = folder is null ? Directory.CreateTempSubdirectory("sendoff-test-").FullName : Directory.CreateDirectory(folder).FullName;
        // A blank worker behind each that is taken would be one process more a test, for no run.
        Pool = new(Node, limits ?? new() { WorkersWarm = 0 }, time ?? TimeProvider.System, NullLogger<WorkerPool>.Instance)
        {
            Harness = harness ?? Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs"),
            Sockets = sockets ?? Path.GetTempPath(),
            Calls = calls,
            // Steps of tests tell what they do by files that the test sees.
            Isolation = isolation ?? new() { Mode = SandboxMode.None },
        };
    }

    public WorkerPool Pool { get; }

    /// <summary>One step a text; a text that has no <c>export</c> is a v1 body.</summary>
    public WorkerProgram Program(string[] steps, int memoryMb = 64, int? concurrency = null, Dictionary<string, string>? environment = null)
    {
        string folder = Path.Combine(root, $"p{++programs}");
        Directory.CreateDirectory(folder);
        var list = new List<ProgramStep>();
        for (int i = 0; i < steps.Length; i++)
        {
            File.WriteAllText(Path.Combine(folder, $"step{i + 1}.js"), steps[i]);
            list.Add(
                new($"step{i + 1}", $"step{i + 1}.js", null, false)
                {
                    Shape = steps[i].Contains("export", StringComparison.Ordinal) ? "module" : null,
                }
            );
        }
        return new($"program-{programs}-{Guid.NewGuid():N}", "wf_1", "test", 1, folder, list, environment ?? [], memoryMb, concurrency);
    }

    public WorkerProgram Program(string step, int memoryMb = 64, int? concurrency = null) => Program([step], memoryMb, concurrency);

    public static WorkerRun NewRun(string eventJson = "{}", double timeoutSeconds = 30, RunResume? resume = null) =>
        new()
        {
            Id = $"run-{Guid.NewGuid():N}",
            EventJson = Encoding.UTF8.GetBytes(eventJson),
            ReceivedAt = TimeProvider.System.GetUtcNow(),
            Timeout = TimeSpan.FromSeconds(timeoutSeconds),
            Resume = resume,
        };

    public async Task<WorkerRun> RunAsync(WorkerProgram program, string eventJson = "{}", double timeoutSeconds = 30)
    {
        var run = NewRun(eventJson, timeoutSeconds);
        await Pool.RunAsync(program, run, TestContext.Current.CancellationToken);
        return run;
    }

    public string FileIn(string name) => Path.Combine(root, name);

    public async ValueTask DisposeAsync()
    {
        await Pool.DisposeAsync();
        Directory.Delete(root, recursive: true);
    }
}

static class WorkerRunText
{
    public static string Body(this WorkerRun run, int send) => Encoding.UTF8.GetString(run.Sends[send].Send.Body.Span);

    public static JsonElement Exports(this WorkerRun run, int step) => JsonDocument.Parse(run.Steps[step].Exports).RootElement;
}
