using System.Text.Json;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;
using Sendoff.Engine;

namespace Sendoff.Ui.Controls;

/// <summary>JSON with colours, always as text. A value that fits stays on one line; larger ones can be folded, and long lists are folded at
/// first.</summary>
public sealed class JsonText : ComponentBase
{
    const int LineLength = 44,
        MaxValues = 5_000,
        ShortValue = 12,
        OpenMembers = 50;
    static readonly JsonSerializerOptions plain = new() { Encoder = PlainJsonEncoder.Instance };

    int values;

    [Parameter, EditorRequired]
    public JsonElement Value { get; set; }

    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        values = 0;
        builder.OpenElement(0, "div");
        builder.AddAttribute(1, "class", "json");
        Write(builder, Value, 0);
        builder.CloseElement();
    }

    void Write(RenderTreeBuilder builder, JsonElement value, int depth)
    {
        if (++values > MaxValues)
        {
            Span(builder, "faint", "…");
            return;
        }
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(builder, value, depth);
                break;
            case JsonValueKind.Array:
                WriteArray(builder, value, depth);
                break;
            case JsonValueKind.String:
                Span(builder, "s", Text(value.GetString()!));
                break;
            default:
                Span(builder, "num", value.GetRawText());
                break;
        }
    }

    void WriteObject(RenderTreeBuilder builder, JsonElement value, int depth)
    {
        var fields = value.EnumerateObject().Take(MaxValues).ToList();
        string separator = Open(builder, '{', value, depth, fields.Count, "field");
        for (int i = 0; i < fields.Count && values <= MaxValues; i++)
        {
            if (i > 0)
                builder.AddContent(2, "," + separator);
            Span(builder, "k", Text(fields[i].Name));
            builder.AddContent(3, ": ");
            Write(builder, fields[i].Value, depth + 1);
        }
        Close(builder, '}', separator, fields.Count);
    }

    void WriteArray(RenderTreeBuilder builder, JsonElement value, int depth)
    {
        var items = value.EnumerateArray().Take(MaxValues).ToList();
        string separator = Open(builder, '[', value, depth, items.Count, "item");
        for (int i = 0; i < items.Count && values <= MaxValues; i++)
        {
            if (i > 0)
                builder.AddContent(2, "," + separator);
            Write(builder, items[i], depth + 1);
        }
        Close(builder, ']', separator, items.Count);
    }

    /// <summary>Returns the separator of two members: a space, or a line break with indent.</summary>
    static string Open(RenderTreeBuilder builder, char bracket, JsonElement value, int depth, int count, string member)
    {
        bool inline = count == 0 || depth > 0 && (IsShort(value, LineLength) || IsListOfShort(value));
        if (inline)
        {
            builder.AddContent(4, count == 0 ? bracket.ToString() : bracket + " ");
            return " ";
        }
        builder.OpenElement(9, "details");
        builder.AddAttribute(10, "class", "fold");
        builder.AddAttribute(11, "open", count <= OpenMembers);
        builder.OpenElement(12, "summary");
        builder.AddContent(13, bracket.ToString());
        Span(builder, "n", $" {Words.Several(count, member, member + "s")} ");
        builder.CloseElement();
        string indent = new(' ', 2 * (depth + 1));
        builder.AddContent(14, indent);
        return "\n" + indent;
    }

    static bool IsShort(JsonElement value, int length) => value.GetRawText() is var raw && raw.Length <= length && !raw.Contains('\n');

    /// <summary>Numbers and short strings are easier to read side by side.</summary>
    static bool IsListOfShort(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array
        && value
            .EnumerateArray()
            .All(item => item.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array) && IsShort(item, ShortValue));

    static void Close(RenderTreeBuilder builder, char bracket, string separator, int count)
    {
        if (separator == " ")
        {
            builder.AddContent(5, count == 0 ? bracket.ToString() : " " + bracket);
            return;
        }
        // The fold is a block element, so the line ends with it.
        builder.CloseElement();
        builder.AddContent(15, separator[1..^2] + bracket);
    }

    static string Text(string value) => JsonSerializer.Serialize(value, plain);

    static void Span(RenderTreeBuilder builder, string kind, string text)
    {
        builder.OpenElement(6, "span");
        builder.AddAttribute(7, "class", kind);
        builder.AddContent(8, text);
        builder.CloseElement();
    }
}
