using System.Buffers;
using System.Text.Json;

namespace Sendoff.Engine.Workers;

/// <summary>What a worker has reported of one step of a run, so far.</summary>
internal struct StepRecord
{
    public StepStatus? Status;
    public double DurationMs;

    /// <summary>The first send's index in this segment, the next one's, and those before it that are still to come: a body made of Blobs is
    /// read after later sends are made.</summary>
    public int FirstSend,
        NextSend;
    public HashSet<int>? Skipped;

    /// <summary>JSON object from the step's end; null is empty.</summary>
    public byte[]? Exports,
        Inputs;

    /// <summary>Values of <c>export</c> frames as JSON; the last of a name counts.</summary>
    public Dictionary<string, byte[]>? Named;
    public List<LogLine>? Logs;
    public List<StepWarning>? Warnings;
    public StepError? Error;

    /// <summary>The index that a send gets: the one it names, or the next when that is given already or out of reach.</summary>
    /// <param name="most">Sends of one run.</param>
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
        // The step's end reports what no export frame has; should a name be in both, the end's value is the later one.
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
