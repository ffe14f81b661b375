using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Sendoff.Tests.Sends;

/// <summary>The call was refused (A4): the path that its message names.</summary>
sealed class RefusedException(string path) : Exception
{
    public string Path => path;
}

/// <summary>A part of a multipart body. Names are escaped as they stand in the header.</summary>
sealed record PartModel(string Name, string? FileName, string? Type, byte[] Content);

/// <summary>What a receiver must find in the body (A5): bytes, or what they parse to.</summary>
/// <param name="Type">The content type that goes with it, unless the headers give one. <c>boundary=</c> at its end is completed by the
/// sender.</param>
sealed record BodyModel(byte[]? Bytes, string? Type, IReadOnlyList<(string, string)>? Form = null, IReadOnlyList<PartModel>? Parts = null)
{
    const string JsonType = "application/json",
        FormType = "application/x-www-form-urlencoded",
        MultipartType = "multipart/form-data; boundary=";

    /// <param name="chosen">The content type in the headers, which wins.</param>
    public static BodyModel Of(Js? data, string? chosen)
    {
        switch (data)
        {
            case null or JsOdd { Kind: "undefined" or "null" }:
                return new([], null);
            case JsOdd or JsBigInt:
                throw new RefusedException("data");
            case JsText { Value: var text }:
                return new(Encoding.UTF8.GetBytes(text), HoldsJson(text) ? JsonType : "text/plain; charset=utf-8");
            case JsBytes { Bytes: var bytes }:
                return new(bytes, "application/octet-stream");
            case JsBlob blob:
                return new(blob.Bytes, TypeOf(blob));
            case JsSearchParams { Pairs: var pairs }:
                return new(null, FormType, [.. pairs.Select(static pair => (WellFormed(pair.Key), WellFormed(pair.Value)))]);
            case JsForm form:
                return Multipart([.. form.Fields.Select(static field => (field.Key, field.Value))]);
        }
        if (data is JsObject or JsArray && chosen is not null)
        {
            if (chosen.StartsWith(FormType, StringComparison.OrdinalIgnoreCase))
                return new(
                    null,
                    null,
                    [
                        .. Pairs
                            .Of(data, "data", blobs: false)
                            .Select(static pair => (WellFormed(pair.Key), WellFormed(((JsText)pair.Value).Value))),
                    ]
                );
            if (chosen.StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase))
                return Multipart([.. Pairs.Of(data, "data", blobs: true)]);
        }
        return new(Encoding.UTF8.GetBytes(JsonModel.Of(data) ?? throw new RefusedException("data")), JsonType);
    }

    static bool HoldsJson(string text)
    {
        if (text.TrimStart([' ', '\t', '\r', '\n']) is not ['{' or '[', ..])
            return false;
        try
        {
            using var _ = JsonDocument.Parse(Encoding.UTF8.GetBytes(text), new() { MaxDepth = 10_000 });
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    static BodyModel Multipart((string Name, Js Value)[] fields) =>
        new(
            null,
            MultipartType,
            null,
            [
                .. fields.Select(static field =>
                    field.Value is JsBlob file
                        ? new PartModel(
                            Escaped(Crlf(WellFormed(field.Name))),
                            Escaped(WellFormed(file.Name ?? "blob")),
                            TypeOf(file),
                            file.Bytes
                        )
                        : new PartModel(
                            Escaped(Crlf(WellFormed(field.Name))),
                            null,
                            null,
                            Encoding.UTF8.GetBytes(Crlf(WellFormed(((JsText)field.Value).Value)))
                        )
                ),
            ]
        );

    /// <summary>The File API keeps a type of printable ASCII only, in lower case.</summary>
    static string TypeOf(JsBlob blob) =>
        blob.Type.Length == 0 || blob.Type.AsSpan().ContainsAnyExceptInRange(' ', '~')
            ? "application/octet-stream"
            : blob.Type.ToLowerInvariant();

    // The HTML standard's escapes of names in a multipart header, and its line breaks.
    static string Escaped(string name) => name.Replace("\"", "%22").Replace("\r", "%0D").Replace("\n", "%0A");

    static string Crlf(string text) => text.Replace("\r\n", "\n").Replace('\r', '\n').Replace("\n", "\r\n");

    /// <summary>Surrogates without their other half become U+FFFD.</summary>
    public static string WellFormed(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}

/// <summary>The pairs that an object becomes in a query or a form (A6): <c>key[]</c>, <c>key[sub]</c>.</summary>
static class Pairs
{
    /// <summary>Values are texts, or, in a multipart body, Blobs.</summary>
    /// <param name="path">How a message names the object.</param>
    public static IEnumerable<(string Key, Js Value)> Of(Js value, string path, bool blobs) =>
        value is JsArray { Items: var items }
            ? items.SelectMany((item, i) => Flatten(item, i.ToString(CultureInfo.InvariantCulture), $"{path}.{i}", blobs))
            : ((JsObject)value).Properties.SelectMany(property => Flatten(property.Value, property.Key, $"{path}.{property.Key}", blobs));

    static IEnumerable<(string Key, Js Value)> Flatten(Js value, string key, string path, bool blobs)
    {
        switch (value)
        {
            case JsOdd { Kind: "undefined" or "null" }:
                return [];
            case JsText:
                return [(key, value)];
            case JsNumber { Value: var number }:
                return [(key, new JsText(JsText.OfNumber(number)))];
            case JsBigInt { Value: var number }:
                return [(key, new JsText(number.ToString(CultureInfo.InvariantCulture)))];
            case JsBool { Value: var yes }:
                return [(key, new JsText(yes ? "true" : "false"))];
            case JsDate { Ms: not null } date:
                return [(key, new JsText(date.Iso))];
            case JsUrl { Href: var href }:
                return [(key, new JsText(href))];
            case JsBlob when blobs:
                return [(key, value)];
            case JsArray { Items: var items }:
                return items.SelectMany((item, i) => Flatten(item, $"{key}[]", $"{path}[{i}]", blobs));
            case JsObject { Properties: var properties }:
                return properties.SelectMany(p => Flatten(p.Value, $"{key}[{p.Key}]", $"{path}.{p.Key}", blobs));
            // Bytes, forms and the like have no text of their own.
            default:
                throw new RefusedException(path);
        }
    }
}

/// <summary>The text that JSON.stringify of ECMA-262 makes.</summary>
static class JsonModel
{
    /// <summary>Null when the value has none.</summary>
    public static string? Of(Js value) =>
        value switch
        {
            JsOdd { Kind: "undefined" or "function" or "symbol" } => null,
            JsOdd { Kind: "null" } or JsDate { Ms: null } => "null",
            JsOdd { Kind: "circular" } or JsBigInt => throw new RefusedException("data"),
            JsText { Value: var text } => Quote(text),
            JsNumber { Value: var number } => double.IsFinite(number) ? JsText.OfNumber(number) : "null",
            JsBool { Value: var yes } => yes ? "true" : "false",
            JsDate date => Quote(date.Iso),
            JsUrl { Href: var href } => Quote(href),
            JsBytes { Kind: "Buffer", Bytes: var bytes } => $$"""{"type":"Buffer","data":[{{string.Join(',', bytes)}}]}""",
            JsArray { Items: var items } => $"[{string.Join(',', items.Select(static item => Of(item) ?? "null"))}]",
            JsObject { Properties: var properties } => OfProperties(properties),
            _ => "{}",
        };

    static string OfProperties(IEnumerable<(string Key, Js Value)> properties)
    {
        var members = new List<string>();
        foreach (var (key, value) in properties)
            if (Of(value) is { } json)
                members.Add($"{Quote(key)}:{json}");
        return $"{{{string.Join(',', members)}}}";
    }

    static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            bool pair = char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            int escape = "\b\t\n\f\r\"\\".IndexOf(c);
            if (escape >= 0)
                quoted.Append('\\').Append("btnfr\"\\"[escape]);
            else if (c < ' ' || (char.IsSurrogate(c) && !pair))
                quoted.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else
                quoted.Append(c);
            if (pair)
                quoted.Append(text[++i]);
        }
        return quoted.Append('"').ToString();
    }
}
