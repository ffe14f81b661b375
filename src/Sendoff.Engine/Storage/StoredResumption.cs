using System.Text;
using System.Text.Json;
using Sendoff.Engine.Secrets;

namespace Sendoff.Engine.Storage;

/// <summary>The state of a suspended run for its next segment, as JSON. The store encrypts it (C8).</summary>
public static class StoredResumption
{
    /// <param name="sends">Sends of the suspending step, over all segments.</param>
    public static byte[] State(RunHold hold, int sends, string trace, IReadOnlyList<StepResult> steps, IReadOnlyList<string> credentials) =>
        ComposedJson.Object(json =>
        {
            json.WriteNumber("kind", (int)hold.Kind);
            json.WriteNumber("from", hold.Kind == HoldKind.Rerun ? hold.Step : hold.Step + 1);
            json.WriteNumber("runs", hold.Runs);
            json.WriteNumber("sends", hold.Kind == HoldKind.Rerun ? sends : 0);
            json.WriteString("trace", trace);
            json.WriteStartArray("credentials");
            foreach (string credential in credentials)
                json.WriteStringValue(credential);
            json.WriteEndArray();
            if (!hold.Context.IsEmpty)
                json.WriteRaw("context", hold.Context);
            json.WriteRaw("steps", StoredJson.Steps(hold.Kind == HoldKind.Rerun ? [.. steps.Take(hold.Step)] : steps));
        });

    public static Resumption Read(ReadOnlySpan<byte> state, ReadOnlyMemory<byte> callback)
    {
        var json = JsonElement.Parse(state, new JsonDocumentOptions { MaxDepth = JsonSyntax.MaxDepth });
        var kind = (HoldKind)json.GetProperty("kind").GetInt32();
        var steps = StoredJson.ReadSteps(Raw(json.GetProperty("steps")));
        // The resume request is an export of the step that suspended the run.
        if (kind != HoldKind.Rerun && !callback.IsEmpty && steps.Count > 0)
            steps = [.. steps.Take(steps.Count - 1), steps[^1] with { Exports = With(steps[^1].Exports, "$resume_data", callback) }];
        return new Resumption(
            kind,
            json.GetProperty("from").GetInt32(),
            json.GetProperty("runs").GetInt32(),
            json.GetProperty("sends").GetInt32(),
            json.GetProperty("trace").GetString()!,
            steps,
            json.TryGetProperty("context", out var context) ? Raw(context) : default,
            callback,
            [
                .. json.GetProperty("credentials").EnumerateArray().Select(static c => c.GetString()!),
                .. callback.IsEmpty ? [] : Credentials.Of(callback),
            ]
        );
    }

    static byte[] With(ReadOnlyMemory<byte> exports, string name, ReadOnlyMemory<byte> value) =>
        ComposedJson.Object(json =>
        {
            foreach (
                var field in JsonElement.Parse(exports.Span, new JsonDocumentOptions { MaxDepth = JsonSyntax.MaxDepth }).EnumerateObject()
            )
                if (field.Name != name)
                    json.WriteRaw(field.Name, Raw(field.Value));
            json.WriteRaw(name, value);
        });

    static byte[] Raw(JsonElement element) => Encoding.UTF8.GetBytes(element.GetRawText());
}
