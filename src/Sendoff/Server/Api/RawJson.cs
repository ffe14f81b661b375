using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Sendoff.Engine;

namespace Sendoff.Server.Api;

/// <summary>JSON from steps, callers and receivers, as an element that every document and page can show.</summary>
/// <remarks>Lone surrogates, which UTF-8 cannot represent, become U+FFFD. JSON nested deeper than <see cref="ShownDepth"/>, and text that
/// is not JSON, become a string.</remarks>
internal static class RawJson
{
    /// <summary>Maximum nesting of shown JSON. The document around it has a few levels below <see cref="ApiJson.MaxDepth"/>.</summary>
    public const int ShownDepth = ApiJson.MaxDepth - 16;

    static readonly JsonElement empty = JsonElement.Parse("{}"u8);
    static readonly JsonDocumentOptions deep = new() { MaxDepth = ShownDepth };

    /// <summary>An empty object if nothing is stored, a string if it cannot be shown as JSON.</summary>
    public static JsonElement Parse(ReadOnlyMemory<byte> json) =>
        json.IsEmpty
            ? empty
            : TryParse(json.Span) ?? JsonSerializer.SerializeToElement(Encoding.UTF8.GetString(json.Span), ApiJson.Default.String);

    /// <summary>Null if the text is not JSON, or nested too deeply.</summary>
    public static JsonElement? TryParse(string text) => TryParse(Encoding.UTF8.GetBytes(text));

    /// <inheritdoc cref="TryParse(string)"/>
    public static JsonElement? TryParse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonElement.Parse(JsonSyntax.MayHoldSurrogates(json) || !Utf8.IsValid(json) ? Mended(json) : json, deep);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Whether a string escapes half of a surrogate pair. JSON allows this, but UTF-8 cannot represent it.</summary>
    public static bool HasLoneSurrogate(ReadOnlySpan<byte> json) => JsonSyntax.MayHoldSurrogates(json) && !json.SequenceEqual(Mended(json));

    static byte[] Mended(ReadOnlySpan<byte> json)
    {
        byte[] mended = Utf8.IsValid(json) ? json.ToArray() : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(json));
        JsonSyntax.MendSurrogates(mended);
        return mended;
    }
}
