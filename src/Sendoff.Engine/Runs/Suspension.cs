using System.Buffers;
using System.Text.Json;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>A run that ended a segment and is held there (B3): until a time, until it is let go on, or canceled.</summary>
/// <param name="Step">The step that holds it.</param>
/// <param name="State">What the next segment needs, see <see cref="Resumption"/>; in the store it is sealed, as it holds values unmasked (C8).</param>
public sealed record Suspension(RunId RunId, WorkflowId WorkflowId, HoldKind Kind, int Step, DateTimeOffset Until, ReadOnlyMemory<byte> State)
{
    /// <summary>The run that goes on from it.</summary>
    public RunId? ContinuedBy { get; init; }
    /// <summary>The request that let it go on; sealed in the store.</summary>
    public ReadOnlyMemory<byte> Callback { get; init; }
}

/// <summary>A held run that a new one goes on from.</summary>
/// <param name="Callback">The request that let it go on, as an event; empty when its time had come.</param>
public sealed record Continuation(RunId Run, ReadOnlyMemory<byte> Callback = default);

/// <summary>What a segment begins with.</summary>
/// <param name="From">The step that comes next.</param>
/// <param name="Runs">How often that step will have been started.</param>
/// <param name="Sends">How many sends it made in earlier segments.</param>
/// <param name="Trace">The first run's id: <c>trace_id</c> is the same over all segments.</param>
/// <param name="Steps">The results of the steps before.</param>
/// <param name="Context">What <c>$.flow</c> was given, JSON; empty is nothing.</param>
/// <param name="Callback">The request that let the run go on, JSON; empty is none.</param>
/// <param name="Credentials">What the event and these requests carried of credentials: the record does not show them (C8).</param>
public sealed record Resumption(
    HoldKind Kind, int From, int Runs, int Sends, string Trace, IReadOnlyList<StepResult> Steps, ReadOnlyMemory<byte> Context, ReadOnlyMemory<byte> Callback,
    IReadOnlyList<string> Credentials)
{
    /// <summary>What a held run leaves for its next segment.</summary>
    /// <param name="sends">How many sends the holding step has made, over all segments.</param>
    internal static byte[] State(RunHold hold, int sends, string trace, IReadOnlyList<StepResult> steps, IReadOnlyList<string> credentials) => Written(json =>
    {
        json.WriteNumber("kind", (int)hold.Kind);
        json.WriteNumber("from", hold.Kind == HoldKind.Rerun ? hold.Step : hold.Step + 1);
        json.WriteNumber("runs", hold.Runs);
        json.WriteNumber("sends", hold.Kind == HoldKind.Rerun ? sends : 0);
        json.WriteString("trace", trace);
        json.WriteStartArray("credentials");
        foreach (string credential in credentials) json.WriteStringValue(credential);
        json.WriteEndArray();
        if (!hold.Context.IsEmpty) WriteRaw(json, "context", hold.Context);
        WriteRaw(json, "steps", StoredJson.Steps(hold.Kind == HoldKind.Rerun ? [.. steps.Take(hold.Step)] : steps));
    });

    public static Resumption Read(ReadOnlySpan<byte> state, ReadOnlyMemory<byte> callback)
    {
        var json = JsonElement.Parse(state, new JsonDocumentOptions { MaxDepth = MessageReader.MaxDepth });
        var kind = (HoldKind)json.GetProperty("kind").GetInt32();
        var steps = StoredJson.ReadSteps(Raw(json.GetProperty("steps")));
        // What let it go on is an export of the step that held it.
        if (kind != HoldKind.Rerun && !callback.IsEmpty && steps.Count > 0)
            steps = [.. steps.Take(steps.Count - 1), steps[^1] with { Exports = With(steps[^1].Exports, "$resume_data", callback) }];
        return new(kind, json.GetProperty("from").GetInt32(), json.GetProperty("runs").GetInt32(), json.GetProperty("sends").GetInt32(), json.GetProperty("trace").GetString()!,
            steps, json.TryGetProperty("context", out var context) ? Raw(context) : default, callback,
            [.. json.GetProperty("credentials").EnumerateArray().Select(static c => c.GetString()!), .. callback.IsEmpty ? [] : Secrets.Credentials.Of(callback)]);
    }

    /// <summary>As a worker gets it.</summary>
    internal RunResume ToWorker() => new(From, Sends, Written(json =>
    {
        json.WriteNumber("from", From);
        json.WriteNumber("runs", Runs);
        json.WriteNumber("sends", Sends);
        json.WriteString("trace", Trace);
        if (!Context.IsEmpty) WriteRaw(json, "context", Context);
        if (!Callback.IsEmpty) WriteRaw(json, "callback", Callback);
        json.WriteStartArray("exports");
        foreach (var step in Steps)
        {
            if (step.Status == StepStatus.Skipped) json.WriteNullValue();
            else json.WriteRawValue(step.Exports.Span, skipInputValidation: true);
        }
        json.WriteEndArray();
    }));

    static byte[] With(ReadOnlyMemory<byte> exports, string name, ReadOnlyMemory<byte> value) => Written(json =>
    {
        foreach (var field in JsonElement.Parse(exports.Span, new JsonDocumentOptions { MaxDepth = MessageReader.MaxDepth }).EnumerateObject())
            if (field.Name != name) WriteRaw(json, field.Name, Raw(field.Value));
        WriteRaw(json, name, value);
    });

    static byte[] Raw(JsonElement element) => System.Text.Encoding.UTF8.GetBytes(element.GetRawText());

    static void WriteRaw(Utf8JsonWriter json, string name, ReadOnlyMemory<byte> value)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(value.Span, skipInputValidation: true);
    }

    static byte[] Written(Action<Utf8JsonWriter> write)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { MaxDepth = MessageReader.MaxDepth, SkipValidation = true });
        json.WriteStartObject();
        write(json);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }
}
