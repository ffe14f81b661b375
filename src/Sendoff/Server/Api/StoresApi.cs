using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary>A data store of the workspace.</summary>
public sealed record DataStoreDocument(string Name, long Keys);

/// <param name="Value">With secrets masked (C8).</param>
/// <param name="ExpiresAt">Null if it does not expire.</param>
public sealed record StoredValueDocument(string Key, JsonElement Value, DateTimeOffset ChangedAt, DateTimeOffset? ExpiresAt);

/// <param name="Value">Any JSON.</param>
/// <param name="Ttl">Seconds until the key expires; null if it does not expire.</param>
public sealed record StoredValueRequestDocument(JsonElement Value, double? Ttl);

/// <summary><c>/api/v1/stores</c>: data stores of <c>data_store</c> props.</summary>
internal static class StoresApi
{
    static readonly string[] fields = ["value", "ttl"];

    public static void Map(IEndpointRouteBuilder api)
    {
        var stores = api.MapGroup("/stores").WithTags("Data stores");
        stores.MapGet("/", ListAsync).WithName("listStores").WithSummary("The workspace's data stores with their number of keys");
        stores
            .MapGet("/{name}", ListKeysAsync)
            .WithName("listStoreValues")
            .WithSummary("A data store's keys and values, by key; secrets are masked");
        stores.MapGet("/{name}/{**key}", GetAsync).WithName("getStoreValue").WithSummary("One value; secrets are masked");
        stores
            .MapPut("/{name}/{**key}", PutAsync)
            .WithName("setStoreValue")
            .WithSummary("Set a key's value")
            .TakesBody<StoredValueRequestDocument>();
        stores.MapDelete("/{name}/{**key}", DeleteAsync).WithName("deleteStoreValue").WithSummary("Delete a key");
    }

    static async Task<Results<Ok<ListDocument<DataStoreDocument>>, Problem>> ListAsync(
        HttpRequest request,
        IStore store,
        CancellationToken ct
    ) =>
        ApiInput.Of(request).Problem is { } problem
            ? problem
            : TypedResults.Ok(
                new ListDocument<DataStoreDocument>(
                    [.. (await store.ListStoresAsync(ct)).Select(s => new DataStoreDocument(s.Name, s.Keys))],
                    null
                )
            );

    static async Task<Results<Ok<ListDocument<StoredValueDocument>>, Problem>> ListKeysAsync(
        string name,
        string? limit,
        string? cursor,
        HttpRequest request,
        IStore store,
        EngineContext engine,
        Concealment concealment,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request, "limit", "cursor");
        int most = input.Limit(limit);
        string? after = After(input, cursor);
        if (DataStoreRules.FaultOfName(name) is { } fault)
            input.Wrong(fault.Message);
        if (input.Problem is { } problem)
            return problem;
        var values = await store.ListValuesAsync(new(default, name), after, most, engine.Limits.DataStoreValueBytes, ct);
        // A page may be cut short by its bytes, so its length does not say whether it is the last.
        bool areMore = values.Count > 0 && (await store.ListKeysAsync(new(default, name), values[^1].Key, 1, ct)).Count > 0;
        string? next = areMore ? Base64Url.EncodeToString(Encoding.UTF8.GetBytes(values[^1].Key)) : null;
        return TypedResults.Ok(new ListDocument<StoredValueDocument>([.. values.Select(value => From(value, concealment))], next));
    }

    static async Task<Results<Ok<StoredValueDocument>, Problem>> GetAsync(
        string name,
        string? key,
        HttpRequest request,
        IStore store,
        Concealment concealment,
        CancellationToken ct
    )
    {
        if (Checked(name, ref key, request, concealment).Problem is { } problem)
            return problem;
        return await store.GetValueAsync(new(default, name), key!, ct) is { } found
            ? TypedResults.Ok(From(found, concealment))
            : NoKey(name);
    }

    static async Task<Results<NoContent, Problem>> PutAsync(
        string name,
        string? key,
        HttpRequest request,
        IStore store,
        EngineContext engine,
        Concealment concealment,
        CancellationToken ct
    )
    {
        var input = Checked(name, ref key, request, concealment);
        if (
            input.Problem is null
            && await input.ObjectAsync(request, fields, ct) is { } body
            && Value(input, key!, body, engine) is { } value
        )
            Fault(
                input,
                DataStoreRules.FaultOf(
                    await store.SetValueAsync(new(default, name), value, DataStoreRules.RoomOf(engine.Limits), ct),
                    name,
                    engine.Limits
                )
            );
        return input.Problem is { } problem ? problem : TypedResults.NoContent();
    }

    static async Task<Results<NoContent, Problem>> DeleteAsync(
        string name,
        string? key,
        HttpRequest request,
        IStore store,
        Concealment concealment,
        CancellationToken ct
    )
    {
        if (Checked(name, ref key, request, concealment).Problem is { } problem)
            return problem;
        return await store.DeleteValueAsync(new(default, name), key!, ct) ? TypedResults.NoContent() : NoKey(name);
    }

    static ApiInput Checked(string name, ref string? key, HttpRequest request, Concealment concealment)
    {
        var input = ApiInput.Of(request);
        Fault(input, DataStoreRules.FaultOfName(name));
        Fault(input, DataStoreRules.FaultOfKey(key ??= "", concealment.Mask));
        return input;
    }

    static StoredValue? Value(ApiInput input, string key, JsonElement body, EngineContext engine)
    {
        if (!body.TryGetProperty("value", out var value))
            input.Wrong("'value' is missing. Expected any JSON.");
        var now = engine.Time.GetUtcNow();
        DateTimeOffset? expires = null;
        if (body.TryGetProperty("ttl", out var ttl) && ttl.ValueKind != JsonValueKind.Null)
        {
            double seconds = ttl.ValueKind == JsonValueKind.Number && ttl.TryGetDouble(out double given) ? given : 0;
            if (DataStoreRules.FaultOfTtl(seconds) is { } wrong)
                Fault(input, wrong);
            else
                expires = now.AddSeconds(seconds);
        }
        if (input.Problem is not null)
            return null;
        byte[] json = JsonMarshal.GetRawUtf8Value(value).ToArray();
        Fault(input, DataStoreRules.FaultOfValue(json, engine.Limits));
        return input.Problem is null ? new(key, json, now, expires) : null;
    }

    static string? After(ApiInput input, string? cursor)
    {
        if (string.IsNullOrEmpty(cursor))
            return null;
        if (Base64Url.IsValid(cursor))
            return Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor));
        input.Wrong($"'cursor' is '{cursor}'. Expected the unchanged nextCursor of the previous page.");
        return null;
    }

    static void Fault(ApiInput input, DataStoreFault? fault)
    {
        if (fault is not null)
            input.Wrong(fault.Message);
    }

    static Problem NoKey(string name) => Problem.NotFound($"The data store '{name}' does not have this key.");

    static StoredValueDocument From(StoredValue value, Concealment concealment) =>
        new(concealment.Mask.Text(value.Key), RawJson.Parse(concealment.Mask.Json(value.Json, "null"u8)), value.ChangedAt, value.ExpiresAt);
}
