using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Sendoff.Server.Triggers;

/// <summary>A multipart form in memory: fields are strings, files <c>{filename, mimetype, url}</c> with a <c>data:</c> URL that holds the file.
/// A repeated name is an array.</summary>
internal sealed class Multipart
{
    const int MaxParts = 1_000, MaxBoundaryLength = 128;

    readonly OrderedDictionary<string, List<Part>> parts = [];

    /// <summary>Null when the body is not what its content type says.</summary>
    public static Multipart? TryRead(MediaTypeHeaderValue type, ReadOnlySpan<byte> body)
    {
        string? boundary = HeaderUtilities.RemoveQuotes(type.Boundary).Value;
        if (string.IsNullOrEmpty(boundary) || boundary.Length > MaxBoundaryLength) return null;
        var reader = new MultipartReader(boundary, new MemoryStream(body.ToArray()));
        var form = new Multipart();
        try
        {
            // The body is in memory, so nothing here ever waits.
            for (int count = 0; reader.ReadNextSectionAsync().GetAwaiter().GetResult() is { } section; count++)
            {
                if (count == MaxParts || !form.Add(section)) return null;
            }
            return form.parts.Count == 0 ? null : form;
        }
        // A file name in a charset that .NET does not decode is none that can be given on.
        catch (Exception e) when (e is IOException or InvalidDataException or NotSupportedException or ArgumentException)
        {
            return null;
        }
    }

    bool Add(MultipartSection section)
    {
        if (section.GetContentDispositionHeader() is not { } disposition
            || HeaderUtilities.RemoveQuotes(disposition.Name).Value is not { Length: > 0 } name) return false;
        var content = new MemoryStream();
        section.Body.CopyTo(content);
        string? fileName = HeaderUtilities.RemoveQuotes(
            disposition.FileNameStar.HasValue ? disposition.FileNameStar : disposition.FileName).Value;
        if (!parts.TryGetValue(name, out var all)) parts.Add(name, all = new(1));
        all.Add(new(fileName, section.ContentType, content.ToArray()));
        return true;
    }

    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject("body"u8);
        foreach (var (name, all) in parts)
        {
            json.WritePropertyName(name);
            if (all.Count > 1) json.WriteStartArray();
            foreach (var part in all) part.WriteTo(json);
            if (all.Count > 1) json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    readonly record struct Part(string? FileName, string? MimeType, byte[] Content)
    {
        public void WriteTo(Utf8JsonWriter json)
        {
            if (FileName is null)
            {
                json.WriteStringValue(Encoding.UTF8.GetString(Content));
                return;
            }
            json.WriteStartObject();
            json.WriteString("filename"u8, FileName);
            json.WriteString("mimetype"u8, MimeType ?? "application/octet-stream");
            json.WriteString("url"u8, $"data:{UrlType()};base64,{Convert.ToBase64String(Content)}");
            json.WriteEndObject();
        }

        // What a URL cannot hold as it stands is left to `mimetype`.
        string UrlType() => MimeType?.Replace(" ", "", StringComparison.Ordinal) is { Length: > 0 } type && type.All(static c => char.IsAsciiLetterOrDigit(c) || "/.+-_;=".Contains(c))
            ? type : "application/octet-stream";
    }
}
