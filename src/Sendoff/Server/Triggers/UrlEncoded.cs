using System.Text;
using System.Text.Json;

namespace Sendoff.Server.Triggers;

/// <summary>Names and values of a query or of a form (URL standard, 5.1), in order and case-sensitive: <c>id</c> and <c>ID</c> are two
/// names.</summary>
internal static class UrlEncoded
{
    /// <summary>Writes an object. A name that occurs once has a string, a repeated name an array.</summary>
    /// <param name="charset">The charset of the percent-encoded bytes; null for UTF-8.</param>
    public static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> pairs, Encoding? charset)
    {
        var fields = new OrderedDictionary<string, object>(StringComparer.Ordinal);
        while (!pairs.IsEmpty)
        {
            int end = pairs.IndexOf((byte)'&');
            var pair = end < 0 ? pairs : pairs[..end];
            pairs = end < 0 ? default : pairs[(end + 1)..];
            if (!pair.IsEmpty)
                Add(fields, pair, charset);
        }
        foreach (var (name, values) in fields)
        {
            if (values is string only)
            {
                json.WriteString(name, only);
                continue;
            }
            json.WriteStartArray(name);
            foreach (string value in (List<string>)values)
                json.WriteStringValue(value);
            json.WriteEndArray();
        }
    }

    static void Add(OrderedDictionary<string, object> fields, ReadOnlySpan<byte> pair, Encoding? charset)
    {
        int equals = pair.IndexOf((byte)'=');
        string name = Decode(equals < 0 ? pair : pair[..equals], charset),
            value = equals < 0 ? "" : Decode(pair[(equals + 1)..], charset);
        if (fields.TryAdd(name, value))
            return;
        if (fields[name] is List<string> more)
            more.Add(value);
        else
            fields[name] = new List<string> { (string)fields[name], value };
    }

    /// <summary>Decodes percent-encoding. Bytes that are not text in the charset are read as UTF-8, with U+FFFD for invalid
    /// bytes.</summary>
    static string Decode(ReadOnlySpan<byte> encoded, Encoding? charset)
    {
        if (!encoded.ContainsAny((byte)'%', (byte)'+') && charset is null)
            return Encoding.UTF8.GetString(encoded);
        byte[] bytes = new byte[encoded.Length];
        int length = 0;
        for (int i = 0; i < encoded.Length; i++)
        {
            byte b = encoded[i];
            if (
                b == '%'
                && i + 2 < encoded.Length
                && char.IsAsciiHexDigit((char)encoded[i + 1])
                && char.IsAsciiHexDigit((char)encoded[i + 2])
            )
            {
                b = (byte)(Convert.FromHexString(encoded.Slice(i + 1, 2))[0]);
                i += 2;
            }
            else if (b == '+')
                b = (byte)' ';
            bytes[length++] = b;
        }
        var plain = bytes.AsSpan(0, length);
        return (charset is null ? null : BodyText.Decode(plain, charset)) ?? Encoding.UTF8.GetString(plain);
    }
}
