using System.Buffers;
using System.Text.Json;

namespace Sendoff.Engine.Workers;

/// <summary>The state of one step of a run, as reported by the worker.</summary>
internal struct StepRecord
{
    public StepStatus? Status;
    public double DurationMs;

    /// <summary>The first index of a send in this segment, the next index, and earlier indexes that are still missing, because a body of
    /// Blobs is sent after later sends.</summary>
    public int FirstSend,
        NextSend;
    public HashSet<int>? Skipped;

    /// <summary>JSON object from the step's end; null if empty.</summary>
    public byte[]? Exports,
        Inputs;

    /// <summary>Values of <c>export</c> frames as JSON; the last value of a name is used.</summary>
    public Dictionary<string, byte[]>? Named;
    public List<LogLine>? Logs;
    public List<StepWarning>? Warnings;
    public StepError? Error;

    /// <summary>The index for a send: its own, or the next free one if that is used or out of range.</summary>
    /// <param name="most">Maximum sends of one run.</param>
    public int TakeSend(int index, int most)
    {
        if (Skipped?.Remove(index) == true)
            return index;
        if (index < NextSend || index - FirstSend >= most)
            return NextSend++;
        while (NextSend < index)
            (Skipped ??= []).Add(NextSend++);
        return NextSend++;
    }

    public readonly byte[]? AllExports()
    {
        if (Named is null)
            return Exports;
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { MaxDepth = MessageReader.MaxDepth, SkipValidation = true });
        json.WriteStartObject();
        // The step's end has values that no export frame has reported. If a name is in both, the value of the end is newer.
        var atEnd = new Dictionary<string, byte[]>();
        if (Exports is not null)
        {
            var fields = new MessageReader(Exports);
            while (fields.NextField())
            {
                string name = fields.FieldName();
                atEnd[name] = fields.Raw().ToArray();
            }
        }
        foreach (var (name, value) in Named)
            if (!atEnd.ContainsKey(name))
                Write(json, name, value);
        foreach (var (name, value) in atEnd)
            Write(json, name, value);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }

    static void Write(Utf8JsonWriter json, string name, byte[] value)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(value, skipInputValidation: true);
    }
}
