using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using Sendoff.Engine;

namespace Sendoff.Server.Triggers;

/// <summary>A multipart form in memory. Fields are strings, files are <c>{filename, mimetype, url}</c>; the URL is a link to the file or
/// contains it. A repeated name is an array.</summary>
internal sealed class Multipart
{
    const int MaxParts = 1_000,
        MaxBoundaryLength = 128,
        LongestNameInUrl = 100;

    /// <summary>Names are case-sensitive.</summary>
    readonly OrderedDictionary<string, List<Part>> parts = new(StringComparer.Ordinal);
    readonly List<Part> all = [];

    public bool HasFiles => all.Exists(static part => part.FileName is not null);

    /// <summary>A file by its number among all parts, from 0; null if that part is not a file.</summary>
    public (string Name, string? MimeType, byte[] Content)? FileAt(int number) =>
        number >= 0 && number < all.Count && all[number] is { FileName: { } name } part ? (name, part.MimeType, part.Content) : null;

    /// <summary>Null if the body does not match its content type.</summary>
    public static Multipart? TryRead(MediaTypeHeaderValue type, ReadOnlySpan<byte> body)
    {
        string? boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
        if (string.IsNullOrEmpty(boundary) || boundary.Length > MaxBoundaryLength)
            return null;
        var reader = new MultipartReader(boundary, new MemoryStream(body.ToArray()));
        var form = new Multipart();
        try
        {
            // The body is in memory, so this never blocks.
            for (int count = 0; reader.ReadNextSectionAsync().GetAwaiter().GetResult() is { } section; count++)
            {
                if (count == MaxParts || !form.Add(section))
                    return null;
            }
            return form.all.Count == 0 ? null : form;
        }
        // .NET cannot decode the charset of this file name.
        catch (Exception e) when (e is IOException or InvalidDataException or NotSupportedException or ArgumentException)
        {
            return null;
        }
    }

    bool Add(MultipartSection section)
    {
        if (
            section.GetContentDispositionHeader() is not { } disposition
            || HeaderUtilities.RemoveQuotes(disposition.Name).Value is not { Length: > 0 } name
        )
            return false;
        var content = new MemoryStream();
        section.Body.CopyTo(content);
        string? fileName = HeaderUtilities
            .RemoveQuotes(disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName)
            .Value;
        var part = new Part(all.Count, fileName, section.ContentType, content.ToArray());
        if (!parts.TryGetValue(name, out var same))
            parts.Add(name, same = new(1));
        same.Add(part);
        all.Add(part);
        return true;
    }

    /// <param name="folder">The prefix of the files' URLs; null for <c>data:</c> URLs.</param>
    public void WriteTo(Utf8JsonWriter json, string? folder)
    {
        // RFC 7578, 4.6: the charset of fields without their own charset.
        var charset = parts.TryGetValue("_charset_", out var named) ? Charset.Find(Encoding.UTF8.GetString(named[0].Content)) : null;
        json.WriteStartObject("body"u8);
        foreach (var (name, same) in parts)
        {
            json.WritePropertyName(name);
            if (same.Count > 1)
                json.WriteStartArray();
            foreach (var part in same)
                part.WriteTo(json, charset, folder);
            if (same.Count > 1)
                json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    readonly record struct Part(int Number, string? FileName, string? MimeType, byte[] Content)
    {
        public void WriteTo(Utf8JsonWriter json, Encoding? charset, string? folder)
        {
            if (FileName is null)
            {
                json.WriteStringValue(Text(charset));
                return;
            }
            json.WriteStartObject();
            json.WriteString("filename"u8, FileName);
            json.WriteString("mimetype"u8, MimeType ?? "application/octet-stream");
            json.WriteString(
                "url"u8,
                folder is null ? $"data:{UrlType()};base64,{Convert.ToBase64String(Content)}" : $"{folder}/{Number}/{NameInUrl()}"
            );
            json.WriteEndObject();
        }

        string Text(Encoding? charset)
        {
            if (MediaTypeHeaderValue.TryParse(MimeType, out var type) && type.Charset.HasValue)
                charset = BodyText.CharsetOf(type.Charset);
            return (charset is null ? null : BodyText.Decode(Content, charset)) ?? Encoding.UTF8.GetString(Content);
        }

        // Without the path that some browsers send, and without characters that URLs cannot contain: clients remove dots, and servers
        // refuse control characters and long URLs.
        string NameInUrl()
        {
            string name = new([.. FileName!.Split('/', '\\')[^1].Where(static c => !char.IsControl(c)).Take(LongestNameInUrl)]);
            return name.All(static c => c == '.') ? "file" : Uri.EscapeDataString(name);
        }

        // Types that a URL cannot contain unescaped are only in `mimetype`.
        string UrlType() =>
            MimeType?.Replace(" ", "", StringComparison.Ordinal) is { Length: > 0 } type
            && type.All(static c => char.IsAsciiLetterOrDigit(c) || "/.+-_;=".Contains(c))
                ? type
                : "application/octet-stream";
    }
}
