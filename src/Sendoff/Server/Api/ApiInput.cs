using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using Sendoff.Engine.Storage;
using EventId = Sendoff.Engine.Model.EventId;

namespace Sendoff.Server.Api;

/// <summary>Reads the input of a request, and keeps the first error as the response: what is wrong, where, and what is expected.</summary>
internal sealed class ApiInput
{
    public const int LimitDefault = 50,
        LimitMax = 200;
    static readonly JsonDocumentOptions deep = new() { MaxDepth = RawJson.ShownDepth };

    /// <summary>The first error.</summary>
    public Problem? Problem { get; private set; }

    /// <param name="known">The known parameters of the query. Any other name is an error.</param>
    public static ApiInput Of(HttpRequest request, params ReadOnlySpan<string> known)
    {
        var input = new ApiInput();
        foreach (var (name, values) in request.Query)
        {
            if (!known.Contains(name))
                input.Wrong($"The query parameter '{name}' is unknown. Known parameters: {string.Join(", ", known)}.");
            else if (values.Count > 1)
                input.Wrong($"The query parameter '{name}' is given {values.Count} times. Use it once.");
        }
        return input;
    }

    public int Limit(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return LimitDefault;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int limit) && limit is >= 1 and <= LimitMax)
            return limit;
        Wrong($"'limit' is '{text}'. Expected a whole number from 1 to {LimitMax}.");
        return LimitDefault;
    }

    public long? Cursor(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (long.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long cursor) && cursor >= 0)
            return cursor;
        Wrong($"'cursor' is '{text}'. Expected the unchanged nextCursor of the previous page.");
        return null;
    }

    public DateTimeOffset? Time(string name, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        // A plus sign in a query that was not encoded arrives as a space.
        string encoded = text.Replace(' ', '+');
        if (
            text.Length >= 10
            && DateTimeOffset.TryParse(encoded, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
        )
            return time;
        Wrong($"'{name}' is '{text}'. Expected a time such as 2026-11-23T14:00:00Z or a date such as 2026-11-23, in UTC.");
        return null;
    }

    public DateOnly? Day(string name, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
            return day;
        Wrong($"'{name}' is '{text}'. Expected a date such as 2026-11-23.");
        return null;
    }

    public T? State<T>(string name, string? text)
        where T : struct, Enum
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (Names.TryParse(text, out T value))
            return value;
        Wrong($"'{name}' is '{text}'. Expected one of {string.Join(", ", Names.All<T>())}.");
        return null;
    }

    /// <summary>One or more names, separated by commas.</summary>
    public IReadOnlyList<T>? States<T>(string name, string? text)
        where T : struct, Enum => string.IsNullOrEmpty(text) ? null : [.. text.Split(',').Select(one => State<T>(name, one)).OfType<T>()];

    public bool Switch(string name, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return false;
        if (bool.TryParse(text, out bool on))
            return on;
        Wrong($"'{name}' is '{text}'. Expected true or false.");
        return false;
    }

    public CodeRange? Code(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        if (text is [>= '1' and <= '5', 'x' or 'X', 'x' or 'X'])
            return new((text[0] - '0') * 100, (text[0] - '0') * 100 + 99);
        if (text.Length == 3 && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int code) && code >= 100)
            return new(code, code);
        Wrong($"'code' is '{text}'. Expected a status such as 404, or a class such as 5xx.");
        return null;
    }

    public RunId Run(string text)
    {
        if (!RunId.TryParse(text, out var id))
            WrongId("a run", "run_", text);
        return id;
    }

    public DeliveryId Delivery(string text)
    {
        if (!DeliveryId.TryParse(text, out var id))
            WrongId("a delivery", "dlv_", text);
        return id;
    }

    public EventId Event(string text)
    {
        if (!EventId.TryParse(text, out var id))
            WrongId("an event", "evt_", text);
        return id;
    }

    public string WorkflowName(string text)
    {
        if (!Engine.Workflows.WorkflowName.IsValid(text))
            Wrong($"'{text}' is not valid as a workflow's name. {Engine.Workflows.WorkflowName.Rule}");
        return text;
    }

    public void Wrong(string detail) => Problem ??= Problem.BadInput(detail);

    void WrongId(string what, string prefix, string text) =>
        Wrong($"'{text}' is not the id of {what}. Expected '{prefix}' and 13 characters, such as '{prefix}{new string('0', 13)}'.");

    /// <summary>Reads the body as one JSON object with only the <paramref name="known"/> fields; null if there is a <see
    /// cref="Problem"/>.</summary>
    public async Task<JsonElement?> ObjectAsync(HttpRequest request, string[] known, CancellationToken ct)
    {
        // Kestrel refuses a body over its limit with 413.
        var body = new MemoryStream();
        await request.Body.CopyToAsync(body, ct);
        return Object(body.ToArray(), known);
    }

    /// <summary>Parses a body that has been read.</summary>
    public JsonElement? Object(byte[] body, string[] known)
    {
        if (!Utf8.IsValid(body))
            Wrong("The body is not UTF-8.");
        else if (RawJson.HasLoneSurrogate(body))
            Wrong("The body escapes half of a surrogate pair, such as \\ud800 alone. Write the whole character.");
        else if (Parse(body) is { } element && IsObject(element, known))
            return element;
        return null;
    }

    JsonElement? Parse(byte[] body)
    {
        try
        {
            return JsonElement.Parse(body, deep);
        }
        catch (JsonException e)
        {
            Wrong(
                $"The body is not JSON: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}. It can nest {RawJson.ShownDepth} levels."
            );
            return null;
        }
    }

    bool IsObject(JsonElement body, string[] known)
    {
        if (body.ValueKind != JsonValueKind.Object)
        {
            Wrong($"The body is {Kind(body)}. Expected a JSON object with {string.Join(", ", known)}.");
            return false;
        }
        foreach (var field in body.EnumerateObject())
        {
            if (!known.Contains(field.Name))
                Wrong($"The field '{field.Name}' is unknown. Known fields: {string.Join(", ", known)}.");
        }
        return Problem is null;
    }

    public string? Text(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.String)
            return value.GetString();
        Wrong($"'{name}' is {Kind(value)}. Expected a string.");
        return null;
    }

    public bool? Flag(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
            return value.GetBoolean();
        Wrong($"'{name}' is {Kind(value)}. Expected true or false.");
        return null;
    }

    public long? Number(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out long number))
            return number;
        Wrong($"'{name}' is {(value.ValueKind == JsonValueKind.Number ? value.GetRawText() : Kind(value))}. Expected a whole number.");
        return null;
    }

    public IReadOnlyList<string>? Texts(JsonElement body, string name)
    {
        if (!body.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(static one => one.ValueKind == JsonValueKind.String))
            return [.. value.EnumerateArray().Select(static one => one.GetString()!)];
        Wrong($"'{name}' is {Kind(value)}. Expected an array of strings.");
        return null;
    }

    /// <summary>Also false if there is no body or the field does not exist.</summary>
    public bool IsSet(JsonElement body, string name) => body.ValueKind == JsonValueKind.Object && (Flag(body, name) ?? false);

    public static string Kind(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.Array => "an array",
            JsonValueKind.Object => "an object",
            JsonValueKind.String => "a string",
            JsonValueKind.Number => "a number",
            JsonValueKind.True or JsonValueKind.False => "a boolean",
            _ => "null",
        };
}
