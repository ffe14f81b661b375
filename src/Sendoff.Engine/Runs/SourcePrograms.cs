using System.Text.Json;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>What the code of a workflow's event sources says, and their problems.</summary>
internal sealed record SourceFindings(IReadOnlyDictionary<string, SourceFacts> Facts, IReadOnlyList<WorkflowProblem> Problems);

/// <summary>Event sources as programs of workers: each has its own workers, with the files of the workflow.</summary>
internal static class SourcePrograms
{
    /// <param name="endpoint">The URL of its HTTP interface; null if it has none. Such a source executes one run at a time.</param>
    public static WorkerProgram OfSource(this WorkerProgram workflow, Source source, string? endpoint) =>
        workflow with
        {
            Key = $"{workflow.Key}/{source.Name}",
            Steps = [new(source.Name, source.Code.File, source.Code.Props, false)],
            Concurrency = endpoint is null ? 1 : null,
            Content = null,
            CustomResponse = source.Facts is { CustomResponse: true },
            Source = new(source.Name, endpoint),
        };

    /// <summary>Loads each source in a worker, and reads what its code says (K1).</summary>
    /// <param name="trial">The workflow's program, with its files.</param>
    public static async Task<SourceFindings> CheckSourcesAsync(
        this IStepRunner runner,
        WorkerProgram trial,
        WorkflowDefinition definition,
        CancellationToken ct
    )
    {
        var facts = new Dictionary<string, SourceFacts>();
        var problems = new List<WorkflowProblem>();
        foreach (var source in definition.Sources)
        {
            var program = trial.OfSource(source, null) with { Name = $"{trial.Name}/{source.Name}" };
            var found = await runner.CheckAsync(program, ct).ConfigureAwait(false);
            if (found.Problems.Count > 0)
                problems.AddRange(
                    found.Problems.Select(p => new WorkflowProblem($"{p.Name}: {p.Message}", p.File, p.Line, p.Column, p.SourceLine))
                );
            else if (found.Source is { } said && Read(source, said, problems) is { } read)
                facts[source.Name] = read;
        }
        return new(facts, problems);
    }

    static SourceFacts? Read(Source source, JsonElement said, List<WorkflowProblem> problems)
    {
        string file = source.Code.Component ?? source.Code.File;
        if (said.TryGetProperty("appHook", out _))
        {
            problems.Add(
                new(
                    $"the source '{source.Name}' gets its events through Pipedream's own app ($.interface.apphook), "
                        + "which Sendoff does not have",
                    file,
                    Hint: "register an app of your own with the service, let it call an HTTP trigger, and remove this trigger"
                )
            );
            return null;
        }
        if (DedupeOf(said) is not { } dedupe)
        {
            problems.Add(new($"the source '{source.Name}' has an unknown `dedupe`", file, Hint: "it is unique, greatest or last"));
            return null;
        }
        bool hasHttp = said.TryGetProperty("http", out var http);
        var facts = new SourceFacts(
            dedupe,
            [.. said.GetProperty("hooks").EnumerateArray().Select(static hook => hook.GetString()!)],
            hasHttp,
            hasHttp && http.GetProperty("customResponse").GetBoolean()
        );
        if (!said.TryGetProperty("timer", out var timer))
            return facts;
        facts = facts with { Cron = Text(timer, "cron"), Timezone = Text(timer, "timezone") };
        if (facts.Cron is null)
            facts = facts with { Every = Number(timer, "intervalSeconds") ?? 0 };
        if (facts.TimerOf(out string? fault) is null)
            problems.Add(
                new(
                    $"the timer of the source '{source.Name}' is not valid: {fault}",
                    file,
                    Hint: "write under `props` of the trigger the timer's prop, such as `timer: { intervalSeconds: 900 }`"
                )
            );
        return facts;
    }

    static SourceDedupe? DedupeOf(JsonElement said) =>
        !said.TryGetProperty("dedupe", out var dedupe) || dedupe.ValueKind == JsonValueKind.Null ? SourceDedupe.None
        : dedupe.ValueKind != JsonValueKind.String ? null
        : dedupe.GetString() switch
        {
            "" => SourceDedupe.None,
            "unique" => SourceDedupe.Unique,
            "greatest" => SourceDedupe.Greatest,
            "last" => SourceDedupe.Last,
            _ => null,
        };

    static string? Text(JsonElement from, string name) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    static long? Number(JsonElement from, string name) =>
        from.ValueKind != JsonValueKind.Object || !from.TryGetProperty(name, out var value) ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number) ? number
        : value.ValueKind == JsonValueKind.String && long.TryParse(value.GetString(), out number) ? number
        : null;
}
