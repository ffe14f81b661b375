using System.Buffers;
using System.Text.Json;
using Sendoff.Engine.Accounts;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>Accounts for the steps of one run. Passes all other calls on.</summary>
public sealed class StepAccounts(AccountTokens tokens, IStepCalls others) : IStepCalls
{
    const string Method = "accounts";
    const int MostAsked = 100,
        MostNames = 10;

    public Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args) =>
        method == Method ? GiveAsync(args) : others.CallAsync(method, args);

    async Task<ReadOnlyMemory<byte>> GiveAsync(ReadOnlyMemory<byte> args)
    {
        var (asked, all) = Read(args);
        var every = all ? await tokens.ListAsync().ConfigureAwait(false) : [];
        var found = await Task.WhenAll(asked.Select(tokens.FindAsync)).ConfigureAwait(false);
        return Write(found, every);
    }

    static (List<string[]> Asked, bool All) Read(ReadOnlyMemory<byte> args)
    {
        using var document = JsonDocument.Parse(args);
        var given = document.RootElement;
        if (!given.TryGetProperty(Method, out var list) || list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > MostAsked)
            throw new StepCallException("SENDOFF_CALL", $"expected a list of up to {MostAsked} lists of names");
        var asked = list.EnumerateArray().Select(Names).ToList();
        return (asked, given.TryGetProperty("all", out var all) && all.ValueKind == JsonValueKind.True);
    }

    static string[] Names(JsonElement names) =>
        names.ValueKind == JsonValueKind.Array && names.GetArrayLength() <= MostNames
            ?
            [
                .. names
                    .EnumerateArray()
                    .Where(static name => name.ValueKind == JsonValueKind.String)
                    .Select(static name => name.GetString()!),
            ]
            : throw new StepCallException("SENDOFF_CALL", $"expected a list of up to {MostNames} names for an account");

    static ReadOnlyMemory<byte> Write(AccountAnswer?[] found, AccountAnswer[] every)
    {
        var output = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        json.WriteStartArray(Method);
        foreach (var one in found)
            Write(json, one);
        json.WriteEndArray();
        json.WriteStartArray("all"u8);
        foreach (var one in every)
            Write(json, one);
        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return output.WrittenMemory;
    }

    static void Write(Utf8JsonWriter json, AccountAnswer? answer)
    {
        if (answer is null)
        {
            json.WriteNullValue();
            return;
        }
        json.WriteStartObject();
        json.WriteString("app"u8, answer.Account.App);
        if (answer.Fields is null)
            json.WriteString("fault"u8, answer.Fault);
        else
        {
            json.WriteStartObject("fields"u8);
            foreach (var (name, value) in answer.Fields)
                json.WriteString(name, value);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }
}
