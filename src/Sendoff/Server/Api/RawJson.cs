using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Sendoff.Engine;

namespace Sendoff.Server.Api;

/// <summary>JSON that steps, callers and receivers gave, as an element that every document and page can show, whatever it holds.</summary>
/// <remarks>Lone surrogates, which no UTF-8 text can hold, become U+FFFD. What nests deeper than <see cref="ShownDepth"/>, or is not JSON,
/// is a string.</remarks>
internal static class RawJson
{
    /// <summary>Levels of nesting that are shown as JSON: a document around them has a few of its own below
    /// <see cref="ApiJson.MaxDepth"/>.</summary>
    public const int ShownDepth = ApiJson.MaxDepth - 16;

    static readonly JsonElement empty = JsonElement.Parse("{}"u8);
    static readonly JsonDocumentOptions deep = new() { MaxDepth = ShownDepth };

    /// <summary>An empty object when nothing is stored, a string when it cannot be shown as JSON.</summary>
    public static JsonElement Parse(ReadOnlyMemory<byte> json) =>
        json.IsEmpty
            ? empty
            : TryParse(json.Span) ?? JsonSerializer.SerializeToElement(Encoding.UTF8.GetString(json.Span), ApiJson.Default.String);

    /// <summary>Null when it is not JSON, or nests too deep.</summary>
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

    /// <summary>Whether a string escapes half of a surrogate pair, which JSON allows and UTF-8 cannot express.</summary>
    public static bool HasLoneSurrogate(ReadOnlySpan<byte> json) => JsonSyntax.MayHoldSurrogates(json) && !json.SequenceEqual(Mended(json));

    static byte[] Mended(ReadOnlySpan<byte> json)
    {
        byte[] mended = Utf8.IsValid(json) ? json.ToArray() : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(json));
        JsonSyntax.MendSurrogates(mended);
        return mended;
    }
}
