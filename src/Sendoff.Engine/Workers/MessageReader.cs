using System.Text.Json;
using System.Text.Unicode;

namespace Sendoff.Engine.Workers;

/// <summary>The fields of one message, read in place. Messages are not trusted, because a step can write to the socket: a field that is
/// missing, of the wrong type or not UTF-8 throws a <see cref="WorkerProtocolException"/>.</summary>
internal ref struct MessageReader
{
    /// <inheritdoc cref="JsonSyntax.MaxDepth"/>
    public const int MaxDepth = JsonSyntax.MaxDepth;

    readonly ReadOnlySpan<byte> payload;
    Utf8JsonReader reader;

    /// <summary>Replaces unpaired surrogates, which JavaScript strings may contain, by U+FFFD in <paramref name="payload"/>.</summary>
    public MessageReader(Span<byte> payload)
    {
        if (!Utf8.IsValid(payload))
            throw new WorkerProtocolException("a message that is not UTF-8");
        JsonSyntax.MendSurrogates(payload);
        this.payload = payload;
        reader = new Utf8JsonReader(payload, new JsonReaderOptions { MaxDepth = MaxDepth });
        Expect(reader.Read() && reader.TokenType == JsonTokenType.StartObject, "an object");
    }

    /// <summary>Moves to the next field. Returns false at the end. The value must be read or skipped before the next call.</summary>
    public bool NextField()
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.PropertyName)
            return true;
        Expect(reader.TokenType == JsonTokenType.EndObject, "the end of the object");
        if (reader.CurrentDepth == 0)
            Expect(!reader.Read(), "one object");
        return false;
    }

    public bool Is(ReadOnlySpan<byte> name) => reader.ValueTextEquals(name);

    public string FieldName() => reader.GetString()!;

    public void Skip() => reader.Skip();

    public int Int(int min, int max)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int value) && value >= min && value <= max)
            return value;
        throw new WorkerProtocolException($"a message without a number from {min} to {max} where it must be");
    }

    public int? OptionalInt()
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
            return null;
        Expect(reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int value) && value >= 0, "a number");
        return reader.GetInt32();
    }

    public double Milliseconds()
    {
        reader.Read();
        double value = 0;
        Expect(reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out value) && value >= 0 && value < 1e15, "milliseconds");
        return value;
    }

    public bool Bool()
    {
        reader.Read();
        Expect(reader.TokenType is JsonTokenType.True or JsonTokenType.False, "true or false");
        return reader.TokenType == JsonTokenType.True;
    }

    public string Text()
    {
        reader.Read();
        return CurrentText();
    }

    public string? OptionalText()
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.Null ? null : CurrentText();
    }

    /// <summary>Reads repeated text without a new string each time.</summary>
    public string KnownText(TextCache known)
    {
        reader.Read();
        return CurrentKnownText(known);
    }

    /// <summary>The raw JSON of the value.</summary>
    public ReadOnlySpan<byte> Raw()
    {
        reader.Read();
        int start = (int)reader.TokenStartIndex;
        reader.Skip();
        return payload[start..(int)reader.BytesConsumed];
    }

    /// <summary>The raw JSON of the object.</summary>
    public ReadOnlySpan<byte> RawObject()
    {
        var raw = Raw();
        Expect(raw[0] == '{', "an object");
        return raw;
    }

    /// <summary>Opens an array; its elements follow with <see cref="NextElement"/>.</summary>
    public void Array()
    {
        reader.Read();
        Expect(reader.TokenType == JsonTokenType.StartArray, "an array");
    }

    public bool NextElement()
    {
        reader.Read();
        return reader.TokenType != JsonTokenType.EndArray;
    }

    /// <summary>Opens the object that is the current element or field's value.</summary>
    public void Object()
    {
        if (reader.TokenType == JsonTokenType.PropertyName)
            reader.Read();
        Expect(reader.TokenType == JsonTokenType.StartObject, "an object");
    }

    /// <summary>Opens the value if it is an object; returns false for null.</summary>
    public bool OptionalObject()
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
            return false;
        Expect(reader.TokenType == JsonTokenType.StartObject, "an object");
        return true;
    }

    public int ElementInt()
    {
        int value = 0;
        Expect(reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out value), "a number");
        return value;
    }

    /// <summary>Reads <c>[name, value]</c>, the current element.</summary>
    public (string Name, string Value) Pair(TextCache known)
    {
        Expect(reader.TokenType == JsonTokenType.StartArray, "a header line");
        reader.Read();
        string name = CurrentKnownText(known);
        reader.Read();
        string value = CurrentKnownText(known);
        reader.Read();
        Expect(reader.TokenType == JsonTokenType.EndArray, "name and value");
        return (name, value);
    }

    string CurrentKnownText(TextCache known)
    {
        Expect(reader.TokenType == JsonTokenType.String, "text");
        return reader.ValueIsEscaped ? CurrentText() : known.Get(reader.ValueSpan);
    }

    string CurrentText()
    {
        Expect(reader.TokenType == JsonTokenType.String, "text");
        return reader.GetString()!;
    }

    static void Expect(bool holds, string what)
    {
        if (!holds)
            throw new WorkerProtocolException($"a message without {what} where it must be");
    }
}
