using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Server.Api;

namespace Sendoff.Ui;

public enum BodyKind
{
    None,
    Json,
    Form,
    Image,
    Text,
    Hex,
}

/// <summary>How a body is shown, by its content instead of its declared type.</summary>
public static class BodyShape
{
    const int ImageBytes = 1024 * 1024,
        HexShown = 4 * 1024,
        PerLine = 16;

    // No SVG, because it is a document that can run scripts.
    static readonly (string Type, byte[] Start)[] images =
    [
        ("image/png", [0x89, (byte)'P', (byte)'N', (byte)'G']),
        ("image/jpeg", [0xff, 0xd8, 0xff]),
        ("image/gif", "GIF8"u8.ToArray()),
        ("image/webp", "RIFF"u8.ToArray()),
        ("image/bmp", "BM"u8.ToArray()),
    ];

    /// <param name="encoding"><c>utf8</c> or <c>base64</c>.</param>
    /// <param name="type">The content-type header, if there is one.</param>
    public static BodyKind KindOf(string body, string encoding, string? type, bool truncated)
    {
        if (body.Length == 0)
            return BodyKind.None;
        if (encoding == "base64")
            return !truncated && ImageType(type, BytesOf(body)) is not null ? BodyKind.Image : BodyKind.Hex;
        if (truncated)
            return BodyKind.Text;
        if (JsonOf(body) is not null)
            return BodyKind.Json;
        return MediaType(type) == "application/x-www-form-urlencoded" && FieldsOf(body).Count > 0 ? BodyKind.Form : BodyKind.Text;
    }

    public static byte[] BytesOf(string base64)
    {
        byte[] bytes = new byte[base64.Length / 4 * 3 + 3];
        return Convert.TryFromBase64String(base64, bytes, out int count) ? bytes[..count] : Encoding.UTF8.GetBytes(base64);
    }

    /// <summary>Null if it is not an image that a browser can show safely.</summary>
    public static string? ImageType(string? type, byte[] bytes) =>
        bytes.Length > ImageBytes
            ? null
            : images.FirstOrDefault(image => image.Type == MediaType(type) && bytes.AsSpan().StartsWith(image.Start)).Type;

    public static JsonElement? JsonOf(string text) => text.AsSpan().TrimStart() is ['{' or '[', ..] ? RawJson.TryParse(text) : null;

    /// <summary>The fields of a form, decoded.</summary>
    public static IReadOnlyList<(string Name, string Value)> FieldsOf(string body) =>
        [
            .. body.Split('&', StringSplitOptions.RemoveEmptyEntries)
                .Select(static field => field.Split('=', 2))
                .Select(static parts => (Decode(parts[0]), Decode(parts.ElementAtOrDefault(1) ?? ""))),
        ];

    static string Decode(string text) => WebUtility.UrlDecode(text);

    /// <summary>Offset, 16 bytes, and their ASCII characters; for the first 4 KiB.</summary>
    public static string Hex(byte[] bytes)
    {
        var all = new StringBuilder();
        for (int at = 0; at < Math.Min(bytes.Length, HexShown); at += PerLine)
        {
            var line = bytes.AsSpan(at, Math.Min(PerLine, bytes.Length - at));
            all.Append(at.ToString("x6", CultureInfo.InvariantCulture)).Append("  ");
            for (int i = 0; i < PerLine; i++)
                all.Append(i < line.Length ? line[i].ToString("x2", CultureInfo.InvariantCulture) : "  ").Append(i == 7 ? "  " : " ");
            all.Append(' ');
            foreach (byte one in line)
                all.Append(one is >= 0x20 and < 0x7f ? (char)one : '.');
            all.Append('\n');
        }
        return all.ToString();
    }

    /// <summary>Number of bytes that <see cref="Hex"/> omits.</summary>
    public static int HexLeftOut(byte[] bytes) => Math.Max(0, bytes.Length - HexShown);

    static string? MediaType(string? type) => type?.Split(';')[0].Trim().ToLowerInvariant();
}
