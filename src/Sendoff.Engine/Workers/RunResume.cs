namespace Sendoff.Engine.Workers;

/// <summary>Where a suspended run resumes.</summary>
/// <param name="Sends">Number of sends of its first step in earlier segments.</param>
/// <param name="Json">The complete JSON for the run frame.</param>
public sealed record RunResume(int From, int Sends, ReadOnlyMemory<byte> Json)
{
    public static RunResume Of(Resumption from) =>
        new(
            from.From,
            from.Sends,
            ComposedJson.Object(json =>
            {
                json.WriteNumber("from", from.From);
                json.WriteNumber("runs", from.Runs);
                json.WriteNumber("sends", from.Sends);
                json.WriteString("trace", from.Trace);
                if (!from.Context.IsEmpty)
                    json.WriteRaw("context", from.Context);
                if (!from.Callback.IsEmpty)
                    json.WriteRaw("callback", from.Callback);
                json.WriteStartArray("exports");
                foreach (var step in from.Steps)
                {
                    if (step.Status == StepStatus.Skipped)
                        json.WriteNullValue();
                    else
                        json.WriteRawValue(step.Exports.Span, skipInputValidation: true);
                }
                json.WriteEndArray();
            })
        );
}
