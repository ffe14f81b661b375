using System.Globalization;
using System.Text;

namespace Sendoff.Tests.Sends;

/// <summary>A JavaScript value, described: a step builds it (<see cref="SendStep"/>), and the model says what becomes of it.</summary>
abstract record Js
{
    public static readonly Js Undefined = new JsOdd("undefined"),
        Null = new JsOdd("null");

    /// <summary>The description as JSON, all ASCII, as surrogates without their other half have no UTF-8.</summary>
    public abstract void Write(StringBuilder to);

    public sealed override string ToString()
    {
        var text = new StringBuilder();
        Write(text);
        return text.ToString();
    }

    protected static void Write(StringBuilder to, string tag, params ReadOnlySpan<Action<StringBuilder>> arguments)
    {
        to.Append("[\"").Append(tag).Append('"');
        foreach (var argument in arguments)
            argument(to.Append(','));
        to.Append(']');
    }

    protected static Action<StringBuilder> Text(string value) => to => AsciiJson.Quote(to, value);

    protected static Action<StringBuilder> List<T>(IEnumerable<T> items, Action<StringBuilder, T> write) =>
        to =>
        {
            to.Append('[');
            bool first = true;
            foreach (var item in items)
            {
                if (!first)
                    to.Append(',');
                write(to, item);
                first = false;
            }
            to.Append(']');
        };

    protected static void Pair(StringBuilder to, string key, Action<StringBuilder> value)
    {
        AsciiJson.Quote(to.Append('['), key);
        value(to.Append(','));
        to.Append(']');
    }
}

/// <summary>
/// <c>undefined</c>, <c>null</c>, and what cannot be sent: a Promise, a Map, a Set, a function, a symbol, something circular, a stream,
/// something with a <c>then</c>.
/// </summary>
sealed record JsOdd(string Kind) : Js
{
    public override void Write(StringBuilder to) => Write(to, Kind);
}

sealed record JsText(string Value) : Js
{
    /// <summary>Number::toString of ECMA-262.</summary>
    public static string OfNumber(double value)
    {
        if (double.IsNaN(value))
            return "NaN";
        if (double.IsInfinity(value))
            return value < 0 ? "-Infinity" : "Infinity";
        if (value == 0)
            return "0";
        // The fewest digits that tell the number from its neighbours.
        string[] parts = value.ToString("E16", CultureInfo.InvariantCulture).Split('E');
        for (int precision = 0; precision < 17; precision++)
        {
            string shorter = value.ToString($"E{precision}", CultureInfo.InvariantCulture);
            if (double.Parse(shorter, CultureInfo.InvariantCulture) != value)
                continue;
            parts = shorter.Split('E');
            break;
        }
        string sign = value < 0 ? "-" : "",
            digits = parts[0].Replace("-", "").Replace(".", "");
        int point = int.Parse(parts[1], CultureInfo.InvariantCulture) + 1;
        if (point > 21 || point < -5)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." + digits[1..] : "")}e{(point > 0 ? "+" : "-")}{Math.Abs(point - 1)}";
        if (point <= 0)
            return $"{sign}0.{new string('0', -point)}{digits}";
        return point >= digits.Length ? sign + digits.PadRight(point, '0') : $"{sign}{digits[..point]}.{digits[point..]}";
    }

    public override void Write(StringBuilder to) => Write(to, "text", Text(Value));
}

sealed record JsNumber(double Value) : Js
{
    public override void Write(StringBuilder to) => Write(to, "number", Text(JsText.OfNumber(Value)));
}

sealed record JsBool(bool Value) : Js
{
    public override void Write(StringBuilder to) => Write(to, "bool", to => to.Append(Value ? "true" : "false"));
}

sealed record JsBigInt(long Value) : Js
{
    public override void Write(StringBuilder to) => Write(to, "bigint", Text(Value.ToString(CultureInfo.InvariantCulture)));
}

/// <param name="Ms">Since 1970; null is an invalid Date.</param>
sealed record JsDate(long? Ms) : Js
{
    public string Iso =>
        DateTimeOffset
            .FromUnixTimeMilliseconds(Ms!.Value)
            .UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public override void Write(StringBuilder to) =>
        Write(to, "date", to => to.Append(Ms is { } ms ? ms.ToString(CultureInfo.InvariantCulture) : "null"));
}

sealed record JsArray(Js[] Items) : Js
{
    public override void Write(StringBuilder to) => Write(to, "array", List(Items, static (to, item) => item.Write(to)));
}

/// <param name="Kind"><c>object</c>, <c>bare</c> (without a prototype), <c>instance</c> (of a class), or <c>Headers</c>.</param>
/// <param name="Given">Defined one after the other.</param>
sealed record JsObject(string Kind, (string Key, Js Value)[] Given) : Js
{
    /// <summary>The own properties in the order of the language: array indices first, the others as they were first defined.</summary>
    public IEnumerable<(string Key, Js Value)> Properties
    {
        get
        {
            var last = new Dictionary<string, Js>(StringComparer.Ordinal);
            foreach (var (key, value) in Given)
                last[key] = value;
            var keys = Given.Select(static pair => pair.Key).Distinct(StringComparer.Ordinal).ToList();
            var indices = keys.Where(IsIndex).OrderBy(static key => uint.Parse(key, CultureInfo.InvariantCulture));
            return indices.Concat(keys.Where(static key => !IsIndex(key))).Select(key => (key, last[key]));
        }
    }

    static bool IsIndex(string key) =>
        !key.Contains('\0') // which .NET passes over at the end of a number
        && uint.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out uint index)
        && index < uint.MaxValue
        && (key[0] != '0' || key.Length == 1);

    public override void Write(StringBuilder to) => Write(to, Kind, List(Given, static (to, pair) => Pair(to, pair.Key, pair.Value.Write)));
}

/// <param name="Kind"><c>Buffer</c>, <c>ArrayBuffer</c>, <c>DataView</c> or a typed array's name.</param>
sealed record JsBytes(string Kind, byte[] Bytes) : Js
{
    public override void Write(StringBuilder to) => Write(to, Kind, Text(Convert.ToBase64String(Bytes)));
}

sealed record JsSearchParams((string Key, string Value)[] Pairs) : Js
{
    public override void Write(StringBuilder to) =>
        Write(to, "URLSearchParams", List(Pairs, static (to, pair) => Pair(to, pair.Key, Text(pair.Value))));
}

/// <param name="Name">Of a File; null is a Blob.</param>
sealed record JsBlob(byte[] Bytes, string Type, string? Name) : Js
{
    public override void Write(StringBuilder to) =>
        Write(to, Name is null ? "Blob" : "File", Text(Convert.ToBase64String(Bytes)), Text(Type), Text(Name ?? ""));
}

/// <param name="Fields">Each a text or a Blob.</param>
sealed record JsForm((string Key, Js Value)[] Fields) : Js
{
    public override void Write(StringBuilder to) =>
        Write(to, "FormData", List(Fields, static (to, field) => Pair(to, field.Key, field.Value.Write)));
}

/// <summary>A URL object, of a text that parses.</summary>
sealed record JsUrl(string Href) : Js
{
    public override void Write(StringBuilder to) => Write(to, "URL", Text(Href));
}

static class AsciiJson
{
    public static void Quote(StringBuilder to, string value)
    {
        to.Append('"');
        foreach (char c in value)
        {
            if (c is '"' or '\\')
                to.Append('\\').Append(c);
            else if (c is >= ' ' and <= '~')
                to.Append(c);
            else
                to.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
        }
        to.Append('"');
    }
}
