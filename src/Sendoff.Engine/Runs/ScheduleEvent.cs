using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Writes the <c>event</c> of a schedule (docs/workflows.md), with Pipedream's names.</summary>
public static class ScheduleEvent
{
    public static ReadOnlyMemory<byte> Write(ScheduleTrigger trigger, DateTimeOffset due, int missed)
    {
        var output = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(output, new() { Encoder = PlainJsonEncoder.Instance });
        json.WriteStartObject();
        if (trigger.Cron is { } cron)
            json.WriteString("cron"u8, cron);
        else
            json.WriteNumber("interval_seconds"u8, (long)trigger.Every!.Value.TotalSeconds);
        json.WriteNumber("timestamp"u8, due.ToUnixTimeSeconds());
        WriteZone(json, "timezone_configured"u8, trigger.Zone, due);
        WriteZone(json, "timezone_utc"u8, TimeZoneInfo.Utc, due);
        if (missed > 0)
            json.WriteNumber("missed"u8, missed);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    static void WriteZone(Utf8JsonWriter json, ReadOnlySpan<byte> name, TimeZoneInfo zone, DateTimeOffset due)
    {
        var local = TimeZoneInfo.ConvertTime(due, zone);
        json.WriteStartObject(name);
        json.WriteString("timezone"u8, zone.Id);
        json.WriteStartObject("iso8601"u8);
        json.WriteString("timestamp"u8, local.ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture));
        json.WriteString("date"u8, local.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        json.WriteString("time"u8, local.ToString("HH:mm:sszzz", CultureInfo.InvariantCulture));
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
