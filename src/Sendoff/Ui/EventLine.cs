using System.Text;
using System.Text.Json;
using Sendoff.Engine.Storage;

namespace Sendoff.Ui;

/// <summary>An event in a line of a list: <c>POST /orders {"name":"Ben"}</c>. Events of other triggers are shown as they begin.</summary>
internal static class EventLine
{
    const int MostChars = 200;

    public static string Of(EventHead head) => Cut(head.Trigger == "http" ? OfRequest(head.Beginning) : head.Beginning);

    /// <summary>The body is omitted if it is not in the beginning.</summary>
    static string OfRequest(string beginning)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(beginning);
        var json = new Utf8JsonReader(bytes, isFinalBlock: false, state: default);
        string method = "",
            path = "",
            body = "";
        try
        {
            while (json.Read())
            {
                if (json.TokenType != JsonTokenType.PropertyName || json.CurrentDepth != 1)
                    continue;
                string name = json.GetString()!;
                int start = (int)json.BytesConsumed;
                if (!json.Read() || !json.TrySkip())
                {
                    body = name == "body" ? Encoding.UTF8.GetString(bytes, start, bytes.Length - start) : "";
                    break;
                }
                string value = Encoding.UTF8.GetString(bytes, start, (int)json.BytesConsumed - start);
                _ = name switch
                {
                    "method" => method = value.Trim('"'),
                    "path" => path = value.Trim('"'),
                    "body" => body = value is "\"\"" ? "" : value,
                    _ => "",
                };
            }
        }
        // An event that was sent by hand can be nested deeper than the reader goes.
        catch (JsonException) { }
        string line = $"{method} {path} {body}".Trim();
        return line.Length == 0 ? beginning : line;
    }

    static string Cut(string text) => text.Length > MostChars ? text[..MostChars] + "…" : text;
}
