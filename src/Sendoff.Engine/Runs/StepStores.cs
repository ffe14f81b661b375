using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Runs;

/// <summary>The data stores for the steps of one run. Calls without a store's name use the workflow's own store: checkpoints and
/// <c>$.service.db</c>.</summary>
/// <remarks>Reads see earlier writes of the same run, awaited or not.</remarks>
public sealed class StepStores(IDataStores stores, WorkerProgram program, Concealment concealment, EngineLimits limits, TimeProvider time)
    : IStepCalls
{
    const int MostKeys = 1_000,
        MostEntries = 100,
        OwnKeys = 10_000;
    static readonly byte[] True = "true"u8.ToArray(),
        False = "false"u8.ToArray();

    readonly StoreName own = OwnOf(program);
    Task written = Task.CompletedTask;

    public async Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args)
    {
        // A write enters the store's queue before the next call is handled.
        using var document = JsonDocument.Parse(args, new() { MaxDepth = 1_000 });
        var given = document.RootElement;
        try
        {
            var store = StoreOf(given);
            switch (method)
            {
                case "set":
                    return await WriteAsync(SetAsync(store, given)).ConfigureAwait(false);
                case "setTtl":
                    return await WriteAsync(stores.ExpireValueAsync(store, KeyOf(given), ExpiryOf(given), default)).ConfigureAwait(false)
                        ? True
                        : False;
                case "delete":
                    return await WriteAsync(stores.DeleteValueAsync(store, KeyOf(given), default)).ConfigureAwait(false) ? True : False;
                case "clear":
                    return await WriteAsync(ClearAsync(store)).ConfigureAwait(false);
            }
            await written.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return method switch
            {
                "get" => (await stores.GetValueAsync(store, KeyOf(given), default).ConfigureAwait(false))?.Json ?? default,
                "has" => await stores.GetValueAsync(store, KeyOf(given), default).ConfigureAwait(false) is null ? False : True,
                "size" => Json(await stores.CountKeysAsync(store, default).ConfigureAwait(false)),
                "keys" => Keys(await stores.ListKeysAsync(store, After(given), MostKeys, default).ConfigureAwait(false)),
                "entries" => Entries(
                    await stores
                        .ListValuesAsync(store, After(given), MostEntries, limits.DataStoreValueBytes, default)
                        .ConfigureAwait(false)
                ),
                _ => throw new StepCallException("SENDOFF_CALL", $"'{method}' is not a valid call of a step"),
            };
        }
        catch (StoreUnavailableException e)
        {
            throw new StepCallException("SENDOFF_STORE_UNAVAILABLE", e.Message, e);
        }
        catch (SealedException e)
        {
            throw new StepCallException("SENDOFF_STORE_SEALED", e.Message, e);
        }
    }

    Task<T> WriteAsync<T>(Task<T> write)
    {
        written = written.IsCompleted ? write : Task.WhenAll(written, write);
        return write;
    }

    async Task<ReadOnlyMemory<byte>> SetAsync(StoreName store, JsonElement given)
    {
        if (!given.TryGetProperty("value", out var value))
            throw new StepCallException("SENDOFF_CALL", "a set call without a value");
        string key = KeyOf(given);
        byte[] json = JsonMarshal.GetRawUtf8Value(value).ToArray();
        Check(DataStoreRules.FaultOfKey(key, concealment.Mask) ?? DataStoreRules.FaultOfValue(json, limits));
        var stored = new StoredValue(key, json, time.GetUtcNow(), ExpiryOf(given));
        var room = DataStoreRules.RoomOf(limits);
        if (store == own)
            room = room with { Keys = OwnKeys };
        var outcome = await stores.SetValueAsync(store, stored, room, default).ConfigureAwait(false);
        Check(DataStoreRules.FaultOf(outcome, store.Name, limits));
        return default;
    }

    async Task<ReadOnlyMemory<byte>> ClearAsync(StoreName store)
    {
        await stores.ClearValuesAsync(store, default).ConfigureAwait(false);
        return default;
    }

    StoreName StoreOf(JsonElement given)
    {
        if (!given.TryGetProperty("store", out var name))
            return own;
        string text = Text(name);
        Check(DataStoreRules.FaultOfName(text));
        return new(default, text);
    }

    static StoreName OwnOf(WorkerProgram program)
    {
        var workflow = WorkflowId.TryParse(program.WorkflowId, out var id) ? id : default;
        return program.Source is { } source ? StoreName.OfSource(workflow, source.Name) : new(workflow, "$own");
    }

    static string KeyOf(JsonElement given) =>
        given.TryGetProperty("key", out var key) ? Text(key) : throw new StepCallException("SENDOFF_CALL", "a call without a key");

    static string? After(JsonElement given) =>
        given.TryGetProperty("after", out var after) && after.ValueKind == JsonValueKind.String ? after.GetString() : null;

    static string Text(JsonElement value) =>
        value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : throw new StepCallException("SENDOFF_CALL", "a name or a key that is not a string");

    DateTimeOffset? ExpiryOf(JsonElement given)
    {
        if (!given.TryGetProperty("ttl", out var ttl) || ttl.ValueKind == JsonValueKind.Null)
            return null;
        double seconds = ttl.ValueKind == JsonValueKind.Number && ttl.TryGetDouble(out double some) ? some : double.NaN;
        Check(DataStoreRules.FaultOfTtl(seconds));
        return time.GetUtcNow().AddSeconds(seconds);
    }

    static void Check(DataStoreFault? fault)
    {
        if (fault is not null)
            throw new StepCallException(fault.Code, fault.Message);
    }

    static ReadOnlyMemory<byte> Json(long number) => Encoding.UTF8.GetBytes($"{number}");

    static ReadOnlyMemory<byte> Keys(IReadOnlyList<string> keys) =>
        Write(json =>
        {
            foreach (string key in keys)
                json.WriteStringValue(key);
        });

    static ReadOnlyMemory<byte> Entries(IReadOnlyList<StoredValue> values) =>
        Write(json =>
        {
            foreach (var value in values)
            {
                json.WriteStartArray();
                json.WriteStringValue(value.Key);
                json.WriteRawValue(value.Json.Span, skipInputValidation: true); // it was validated when it was set
                json.WriteEndArray();
            }
        });

    static ReadOnlyMemory<byte> Write(Action<Utf8JsonWriter> elements)
    {
        var output = new System.Buffers.ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(output, new() { MaxDepth = 1_010 });
        json.WriteStartArray();
        elements(json);
        json.WriteEndArray();
        json.Flush();
        return output.WrittenMemory;
    }
}
