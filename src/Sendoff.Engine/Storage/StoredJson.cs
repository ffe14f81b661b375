using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Engine.Storage;

/// <summary>JSON columns, which are the same in every database.</summary>
internal static class StoredJson
{
    public static byte[] Steps(IReadOnlyList<StepResult> steps) =>
        JsonSerializer.SerializeToUtf8Bytes(steps, StepJsonContext.Default.IReadOnlyListStepResult);

    public static IReadOnlyList<StepResult> ReadSteps(ReadOnlySpan<byte> json) =>
        json.IsEmpty ? [] : JsonSerializer.Deserialize(json, StepJsonContext.Default.IReadOnlyListStepResult)!;

    public static byte[]? StepError(StepError? error) =>
        error is null ? null : JsonSerializer.SerializeToUtf8Bytes(error, StepJsonContext.Default.StepError);

    public static StepError? ReadStepError(ReadOnlySpan<byte> json) =>
        json.IsEmpty ? null : JsonSerializer.Deserialize(json, StepJsonContext.Default.StepError);

    public static byte[]? Response(RunResponse? response) =>
        response is null ? null : JsonSerializer.SerializeToUtf8Bytes(response, RowJsonContext.Default.RunResponse);

    public static RunResponse? ReadResponse(ReadOnlySpan<byte> json) =>
        json.IsEmpty ? null : JsonSerializer.Deserialize(json, RowJsonContext.Default.RunResponse);

    public static byte[]? AttemptError(AttemptError? error) =>
        error is null ? null : JsonSerializer.SerializeToUtf8Bytes(error, RowJsonContext.Default.AttemptError);

    public static AttemptError? ReadAttemptError(ReadOnlySpan<byte> json) =>
        json.IsEmpty ? null : JsonSerializer.Deserialize(json, RowJsonContext.Default.AttemptError);

    /// <summary>Header lines in their order, as <c>[["name","value"],…]</c>; null if there are none.</summary>
    public static byte[]? Headers(IReadOnlyList<Header> headers) =>
        headers.Count == 0 ? null : JsonSerializer.SerializeToUtf8Bytes(headers, RowJsonContext.Default.IReadOnlyListHeader);

    public static IReadOnlyList<Header> ReadHeaders(ReadOnlySpan<byte> json) =>
        json.IsEmpty ? [] : JsonSerializer.Deserialize(json, RowJsonContext.Default.IReadOnlyListHeader)!;

    /// <summary>Null when there are none.</summary>
    public static byte[]? Redirects(IReadOnlyList<RedirectHop> redirects) =>
        redirects.Count == 0 ? null : JsonSerializer.SerializeToUtf8Bytes(redirects, RowJsonContext.Default.IReadOnlyListRedirectHop);

    public static IReadOnlyList<RedirectHop> ReadRedirects(ReadOnlySpan<byte> json) =>
        json.IsEmpty ? [] : JsonSerializer.Deserialize(json, RowJsonContext.Default.IReadOnlyListRedirectHop)!;

    public static byte[] Files(IReadOnlyDictionary<string, string> files) =>
        JsonSerializer.SerializeToUtf8Bytes(files, RowJsonContext.Default.IReadOnlyDictionaryStringString);

    public static IReadOnlyDictionary<string, string> ReadFiles(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, RowJsonContext.Default.IReadOnlyDictionaryStringString)!;
}

/// <summary>Values from steps are already JSON, of any depth.</summary>
[JsonSourceGenerationOptions(
    MaxDepth = StepJsonContext.Depth,
    UseStringEnumConverter = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(RawJsonConverter)]
)]
[JsonSerializable(typeof(IReadOnlyList<StepResult>))]
internal sealed partial class StepJsonContext : JsonSerializerContext
{
    public const int Depth = 1_000;
}

[JsonSourceGenerationOptions(
    UseStringEnumConverter = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    Converters = [typeof(HeaderConverter)]
)]
[JsonSerializable(typeof(IReadOnlyList<Header>))]
[JsonSerializable(typeof(RunResponse))]
[JsonSerializable(typeof(AttemptError))]
[JsonSerializable(typeof(IReadOnlyList<RedirectHop>))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
internal sealed partial class RowJsonContext : JsonSerializerContext;

/// <summary>JSON bytes, written unchanged; empty as null.</summary>
internal sealed class RawJsonConverter : JsonConverter<ReadOnlyMemory<byte>>
{
    public override ReadOnlyMemory<byte> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.Null)
            return default;
        using var value = JsonDocument.ParseValue(ref reader);
        return JsonMarshal.GetRawUtf8Value(value.RootElement).ToArray();
    }

    public override void Write(Utf8JsonWriter writer, ReadOnlyMemory<byte> value, JsonSerializerOptions options)
    {
        if (value.IsEmpty)
            writer.WriteNullValue();
        else if (IsReadable(value.Span))
            writer.WriteRawValue(value.Span, skipInputValidation: true);
        // Every run must be able to end, so values that could not be read back are stored as text.
        else
            writer.WriteStringValue(value.Span);
    }

    static bool IsReadable(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = StepJsonContext.Depth - 10 });
            while (reader.Read()) { }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}

internal sealed class HeaderConverter : JsonConverter<Header>
{
    public override Header Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        reader.Read();
        string name = reader.GetString()!;
        reader.Read();
        string value = reader.GetString()!;
        reader.Read();
        return new(name, value);
    }

    public override void Write(Utf8JsonWriter writer, Header value, JsonSerializerOptions options)
    {
        writer.WriteStartArray();
        writer.WriteStringValue(value.Name);
        writer.WriteStringValue(value.Value);
        writer.WriteEndArray();
    }
}
