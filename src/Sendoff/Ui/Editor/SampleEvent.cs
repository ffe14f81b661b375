using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workflows;

namespace Sendoff.Ui.Editor;

/// <summary>An event for a test before there is one of a run, in the form of the workflow's first trigger.</summary>
static class SampleEvent
{
    static readonly JsonSerializerOptions pretty = new() { WriteIndented = true, Encoder = PlainJsonEncoder.Instance };

    /// <param name="url">The URL of the workflow's HTTP trigger.</param>
    public static string For(WorkflowDefinition? definition, Uri url, DateTimeOffset now)
    {
        switch (definition is { Triggers: [var first, ..] } ? first : null)
        {
            case ScheduleTrigger schedule:
                return JsonSerializer.Serialize(
                    JsonElement.Parse(ScheduleEvent.Write(schedule, schedule.NextAfter(now) ?? now, missed: 0).Span),
                    pretty
                );
            case EmitTrigger:
                return JsonSerializer.Serialize(new { name = "Ada" }, pretty);
            default:
                return JsonSerializer.Serialize(
                    new
                    {
                        method = "POST",
                        path = "/",
                        query = new { },
                        headers = new Dictionary<string, string>
                        {
                            ["host"] = url.Authority,
                            ["content-type"] = "application/json",
                            ["user-agent"] = "curl/8.5.0",
                        },
                        body = new { name = "Ada", email = "ada@example.com" },
                        client_ip = "127.0.0.1",
                        url = url.ToString(),
                        inferred_body_type = "JSON",
                    },
                    pretty
                );
        }
    }
}
