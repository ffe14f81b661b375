using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Engine.Workflows;

/// <summary>What the code of an event source says about it (K1). A deploy loads the source, and stores this in the version's file
/// <see cref="File"/>, so that nothing else has to load it.</summary>
/// <param name="Hooks">The hooks that it has.</param>
/// <param name="Http">Whether it has an HTTP interface.</param>
/// <param name="CustomResponse">Whether its run responds to the request.</param>
/// <param name="Cron">When its timer is due; null for an interval, and for a source without a timer.</param>
/// <param name="Every">The interval of its timer, in seconds.</param>
public sealed record SourceFacts(
    SourceDedupe Dedupe,
    IReadOnlyList<string> Hooks,
    bool Http = false,
    bool CustomResponse = false,
    string? Cron = null,
    long? Every = null,
    string? Timezone = null
)
{
    public const string File = "sendoff-sources.json";

    [JsonIgnore]
    public bool HasTimer => Cron is not null || Every is not null;

    /// <summary>The facts of all sources, by name. Empty if the file is missing or another program has changed it.</summary>
    public static IReadOnlyDictionary<string, SourceFacts> ReadAll(IReadOnlyDictionary<string, string> files)
    {
        if (!files.TryGetValue(File, out string? text))
            return FrozenDictionary<string, SourceFacts>.Empty;
        try
        {
            return JsonSerializer.Deserialize(text, SourceFactsJson.Default.DictionaryStringSourceFacts)
                ?? (IReadOnlyDictionary<string, SourceFacts>)FrozenDictionary<string, SourceFacts>.Empty;
        }
        catch (JsonException)
        {
            return FrozenDictionary<string, SourceFacts>.Empty;
        }
    }

    /// <summary>The files of a version, with the facts of its sources. Without sources there is no such file.</summary>
    public static IReadOnlyDictionary<string, string> AddTo(
        IReadOnlyDictionary<string, string> files,
        IReadOnlyDictionary<string, SourceFacts> facts
    )
    {
        if (facts.Count == 0 && !files.ContainsKey(File))
            return files;
        var all = new Dictionary<string, string>(files);
        all.Remove(File);
        if (facts.Count > 0)
            all[File] = JsonSerializer.Serialize(
                facts.ToDictionary(StringComparer.Ordinal),
                SourceFactsJson.Default.DictionaryStringSourceFacts
            );
        return all;
    }

    /// <summary>The triggers that start its runs.</summary>
    internal IEnumerable<Trigger> TriggersOf(string source)
    {
        if (Http)
            yield return new HttpTrigger(null, TriggerResponse.Default with { FromRun = CustomResponse }) { Source = source };
        if (TimerOf(out _) is { } timer)
            yield return timer with
            {
                Source = source,
            };
    }

    /// <summary>The schedule of its timer; null if it has none, or it is not valid.</summary>
    internal ScheduleTrigger? TimerOf(out string? fault)
    {
        fault = null;
        if (!HasTimer)
            return null;
        TimeZoneInfo? zone = TimeZoneInfo.Utc;
        if (Timezone is not null && !TimeZoneInfo.TryFindSystemTimeZoneById(Timezone, out zone))
            fault = $"there is no time zone '{Timezone}'";
        else if (Cron is not null)
        {
            try
            {
                var schedule = new ScheduleTrigger(Cron, zone);
                if (schedule.NextAfter(DateTimeOffset.UnixEpoch) is not null)
                    return schedule;
                fault = $"'{Cron}' is never due";
            }
            catch (Exception x) when (x is Cronos.CronFormatException or Cronos.MissingSeedException)
            {
                fault = $"'{Cron}' is not a valid cron expression";
            }
        }
        else if (Every >= ScheduleTrigger.Shortest.TotalSeconds && Every <= ScheduleTrigger.Longest.TotalSeconds)
            return new(TimeSpan.FromSeconds(Every.Value), zone);
        else
            fault = $"{Every} seconds is not an interval from a minute to a year";
        return null;
    }
}

[JsonSerializable(typeof(Dictionary<string, SourceFacts>))]
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault,
    UseStringEnumConverter = true
)]
sealed partial class SourceFactsJson : JsonSerializerContext;
