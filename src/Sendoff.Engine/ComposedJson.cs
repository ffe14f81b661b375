using System.Buffers;
using System.Text.Json;

namespace Sendoff.Engine;

/// <summary>JSON objects with values that are already JSON.</summary>
static class ComposedJson
{
    public static byte[] Object(Action<Utf8JsonWriter> write)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, new JsonWriterOptions { MaxDepth = JsonSyntax.MaxDepth, SkipValidation = true });
        json.WriteStartObject();
        write(json);
        json.WriteEndObject();
        json.Flush();
        return output.WrittenSpan.ToArray();
    }

    /// <param name="value">Valid JSON.</param>
    public static void WriteRaw(this Utf8JsonWriter json, string name, ReadOnlyMemory<byte> value)
    {
        json.WritePropertyName(name);
        json.WriteRawValue(value.Span, skipInputValidation: true);
    }
}
