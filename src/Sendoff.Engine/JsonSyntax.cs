using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Sendoff.Engine;

/// <summary>Checks of JSON, and parsing of untrusted JSON.</summary>
public static class JsonSyntax
{
    /// <summary>Maximum nesting of a step's values.</summary>
    public const int MaxDepth = 1_000;

    /// <summary>Whether the bytes are exactly one JSON value in UTF-8, nested up to <see cref="MaxDepth"/> levels.</summary>
    public static bool IsValue(ReadOnlySpan<byte> json)
    {
        if (!Utf8.IsValid(json))
            return false;
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            if (!reader.Read())
                return false;
            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>Parses untrusted JSON. All of its strings and names can be read: halves of surrogate pairs, on which <see
    /// cref="JsonElement.GetString"/> fails, become U+FFFD, as when a step writes them.</summary>
    /// <exception cref="JsonException">The text is not JSON, or nested deeper than the options allow.</exception>
    public static JsonElement ParseForeign(string json, JsonDocumentOptions options = default) => JsonElement.Parse(Mended(json), options);

    /// <inheritdoc cref="ParseForeign"/>
    public static JsonNode? ParseForeignNode(string json, JsonDocumentOptions options = default) =>
        JsonNode.Parse(Mended(json), documentOptions: options);

    static byte[] Mended(string json)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(json);
        MendSurrogates(bytes);
        return bytes;
    }

    /// <summary>Whether strings may contain halves of surrogate pairs, written as <c>\uD800</c>. System.Text.Json can read such JSON, but
    /// not write it.</summary>
    public static bool MayHoldSurrogates(ReadOnlySpan<byte> json) => json.IndexOf("\\ud"u8) >= 0 || json.IndexOf("\\uD"u8) >= 0;

    /// <summary>Replaces halves of surrogate pairs with U+FFFD, in place.</summary>
    public static void MendSurrogates(Span<byte> json)
    {
        if (!MayHoldSurrogates(json))
            return;
        for (int i = 0; i < json.Length; i++)
        {
            if (json[i] != '\\')
                continue;
            if (!TryEscape(json[i..], out char unit))
            {
                i++; // the escaped character may be a backslash
                continue;
            }
            if (char.IsHighSurrogate(unit) && TryEscape(json[(i + 6)..], out char low) && char.IsLowSurrogate(low))
                i += 11;
            else
            {
                if (char.IsSurrogate(unit))
                    "\\ufffd"u8.CopyTo(json[i..]);
                i += 5;
            }
        }
    }

    /// <summary>Reads <c>\uXXXX</c>.</summary>
    static bool TryEscape(ReadOnlySpan<byte> json, out char unit)
    {
        unit = default;
        if (json.Length < 6 || json[0] != '\\' || json[1] != 'u')
            return false;
        bool hex = ushort.TryParse(json.Slice(2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort value);
        unit = (char)value;
        return hex;
    }
}
