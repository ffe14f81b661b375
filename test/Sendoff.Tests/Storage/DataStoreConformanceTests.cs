using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Storage;

/// <summary>What every driver's data stores do.</summary>
public abstract class DataStoreConformanceTests
{
    protected static readonly StoreName Orders = new(default, "orders");

    protected FakeTimeProvider Clock { get; } = new(DateTimeOffset.Parse("2026-11-23T08:00:00Z"));
    protected abstract IDataStores Stores { get; }
    protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    protected Task<SetOutcome> SetAsync(
        string key,
        string json,
        double? ttl = null,
        int most = 100,
        StoreName? store = null,
        long bytes = 1_000_000,
        long inAll = 1_000_000
    ) =>
        Stores.SetValueAsync(
            store ?? Orders,
            new(key, Encoding.UTF8.GetBytes(json), Clock.GetUtcNow(), ttl is { } seconds ? Clock.GetUtcNow().AddSeconds(seconds) : null),
            new(most, bytes, inAll),
            Ct
        );

    protected async Task<string?> GetAsync(string key, StoreName? store = null) =>
        await Stores.GetValueAsync(store ?? Orders, key, Ct) is { } value ? Encoding.UTF8.GetString(value.Json.Span) : null;

    Task<IReadOnlyList<string>> KeysAsync(string? after = null, int limit = 100) => Stores.ListKeysAsync(Orders, after, limit, Ct);

    [Fact]
    public async Task Keys_are_listed_without_values_by_a_text_in_them_and_in_pages()
    {
        foreach (string key in new[] { "order/1", "order/2", "user/1", "order/3" })
            await SetAsync(key, "1", key == "order/3" ? 5 : null);
        Task<IReadOnlyList<StoredKey>> Found(string contains, string? after = null, int limit = 100) =>
            Stores.ListKeysAsync(Orders, contains, after, limit, Ct);

        Assert.Equal(["order/1", "order/2", "order/3", "user/1"], (await Found("")).Select(one => one.Key));
        Assert.Equal(["order/2", "order/3"], (await Found("order", after: "order/1")).Select(one => one.Key));
        Assert.Equal(["order/1"], (await Found("/1", limit: 1)).Select(one => one.Key));
        Assert.Empty(await Found("ORDER"));
        Clock.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(["order/1", "order/2"], (await Found("order")).Select(one => one.Key));
        Assert.All(await Found(""), one => Assert.True(one.Bytes > 0));
    }

    [Fact]
    public async Task A_value_that_was_set_is_there_and_the_last_one_counts()
    {
        Assert.Null(await GetAsync("a"));
        Assert.Equal(SetOutcome.Set, await SetAsync("a", """{"n":1}"""));
        Assert.Equal(SetOutcome.Set, await SetAsync("a", "2"));

        Assert.Equal("2", await GetAsync("a"));
        Assert.Null(await GetAsync("A"));
        Assert.Null(await GetAsync("a", new(default, "other")));
        Assert.Null(await GetAsync("a", new(new(7), "orders")));
        Assert.Equal(1, await Stores.CountKeysAsync(Orders, Ct));
    }

    [Fact]
    public async Task An_expired_key_is_gone_at_once_and_for_every_question()
    {
        await SetAsync("short", "1", ttl: 10);
        await SetAsync("long", "2", ttl: 100);
        Clock.Advance(TimeSpan.FromSeconds(10));

        Assert.Null(await GetAsync("short"));
        Assert.Equal(["long"], await KeysAsync());
        Assert.Equal(["long"], (await Stores.ListValuesAsync(Orders, null, 10, 1_000, Ct)).Select(value => value.Key));
        Assert.Equal(1, await Stores.CountKeysAsync(Orders, Ct));
        Assert.Equal([new("orders", 1)], await Stores.ListStoresAsync(Ct));
        Assert.False(await Stores.DeleteValueAsync(Orders, "short", Ct));
        Assert.False(await Stores.ExpireValueAsync(Orders, "short", null, Ct));
        Assert.Equal("2", await GetAsync("long"));
    }

    [Fact]
    public async Task A_time_to_live_can_be_changed_and_goes_with_the_next_set()
    {
        await SetAsync("a", "1", ttl: 10);
        await SetAsync("b", "1", ttl: 10);
        await SetAsync("c", "1");
        Assert.True(await Stores.ExpireValueAsync(Orders, "a", null, Ct));
        await SetAsync("b", "2");
        Assert.True(await Stores.ExpireValueAsync(Orders, "c", Clock.GetUtcNow().AddSeconds(5), Ct));
        Clock.Advance(TimeSpan.FromSeconds(20));

        Assert.Equal(["a", "b"], await KeysAsync());
    }

    [Fact]
    public async Task Pruning_deletes_what_has_expired_in_slices()
    {
        for (int i = 0; i < 5; i++)
            await SetAsync($"k{i}", "1", ttl: 10);
        await SetAsync("stays", "1");
        Clock.Advance(TimeSpan.FromMinutes(1));

        int pruned = 0;
        while (await Stores.PruneValuesAsync(2, Ct) is > 0 and var slice)
            pruned += slice;
        Assert.Equal(5, pruned);
        Assert.Equal(["stays"], await KeysAsync());
        Assert.Equal(1, await Stores.CountKeysAsync(Orders, Ct));
    }

    [Fact]
    public async Task A_full_store_takes_changes_and_no_new_keys_until_one_goes()
    {
        await SetAsync("a", "1", most: 2);
        await SetAsync("b", "1", ttl: 10, most: 2);

        Assert.Equal(SetOutcome.Full, await SetAsync("c", "1", most: 2));
        Assert.Equal(SetOutcome.Set, await SetAsync("a", "2", most: 2));
        Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(SetOutcome.Set, await SetAsync("c", "1", most: 2));
        Assert.Equal(SetOutcome.Full, await SetAsync("d", "1", most: 2));
        Assert.True(await Stores.DeleteValueAsync(Orders, "a", Ct));
        Assert.Equal(SetOutcome.Set, await SetAsync("d", "1", most: 2));
    }

    // A driver may add a few bytes to each value.
    static string Text(int length) => $"\"{new string('x', length)}\"";

    [Fact]
    public async Task A_store_whose_values_have_their_size_takes_no_larger_ones_until_some_go()
    {
        Assert.Equal(SetOutcome.Set, await SetAsync("a", Text(10_000), bytes: 25_000));
        Assert.Equal(SetOutcome.Set, await SetAsync("b", Text(10_000), ttl: 10, bytes: 25_000));
        Assert.Equal(SetOutcome.TooManyBytes, await SetAsync("c", Text(10_000), bytes: 25_000));
        Assert.Equal(SetOutcome.TooManyBytes, await SetAsync("a", Text(20_000), bytes: 25_000));
        Assert.Equal(SetOutcome.Set, await SetAsync("a", Text(9_000), bytes: 100));
        Assert.Equal(Text(9_000), await GetAsync("a"));
        Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(SetOutcome.Set, await SetAsync("c", Text(10_000), bytes: 25_000));
        Assert.Equal(SetOutcome.TooManyBytes, await SetAsync("d", Text(10_000), bytes: 25_000));
        Assert.True(await Stores.DeleteValueAsync(Orders, "a", Ct));
        Assert.Equal(SetOutcome.Set, await SetAsync("d", Text(10_000), bytes: 25_000));
        await Stores.ClearValuesAsync(Orders, Ct);
        Assert.Equal(SetOutcome.Set, await SetAsync("e", Text(20_000), bytes: 25_000));
    }

    [Fact]
    public async Task All_stores_together_have_a_size()
    {
        StoreName other = new(default, "other");
        Assert.Equal(SetOutcome.Set, await SetAsync("a", Text(10_000), inAll: 25_000));
        Assert.Equal(SetOutcome.Set, await SetAsync("a", Text(10_000), store: other, inAll: 25_000));
        Assert.Equal(SetOutcome.TooManyBytesInAll, await SetAsync("b", Text(10_000), store: other, inAll: 25_000));
        Assert.True(await Stores.DeleteValueAsync(Orders, "a", Ct));
        Assert.Equal(SetOutcome.Set, await SetAsync("b", Text(10_000), store: other, inAll: 25_000));
    }

    [Fact]
    public async Task Keys_and_values_come_in_pages_by_key_and_by_bytes()
    {
        foreach (string key in (string[])["d", "ä", "a", "c", "b/2"])
            await SetAsync(key, "\"12345678\"");

        Assert.Equal(["a", "b/2"], await KeysAsync(limit: 2));
        Assert.Equal(["c", "d", "ä"], await KeysAsync(after: "b/2"));
        Assert.Equal(["a"], (await Stores.ListValuesAsync(Orders, null, 10, 1, Ct)).Select(value => value.Key));
        Assert.True((await Stores.ListValuesAsync(Orders, "a", 10, 80, Ct)).Count is > 1 and <= 4);
        Assert.Empty(await KeysAsync(after: "ä"));
    }

    [Fact]
    public async Task Clearing_empties_one_store()
    {
        await SetAsync("a", "1");
        await SetAsync("b", "1");
        await SetAsync("a", "1", store: new(default, "other"));
        await Stores.ClearValuesAsync(Orders, Ct);

        Assert.Equal(0, await Stores.CountKeysAsync(Orders, Ct));
        Assert.Equal("1", await GetAsync("a", new(default, "other")));
        await Stores.PruneValuesAsync(10, Ct);
        Assert.Equal([new("other", 1)], await Stores.ListStoresAsync(Ct));
    }

    [Fact]
    public async Task Of_values_that_are_set_at_once_one_stays_whole()
    {
        string[] values = [.. Enumerable.Range(0, 50).Select(i => $$"""{"by":{{i}},"text":"{{new string('x', i)}}"}""")];
        await Task.WhenAll(values.SelectMany((value, i) => new[] { SetAsync("same", value), SetAsync($"own{i}", value) }));

        Assert.Contains(await GetAsync("same"), values);
        Assert.Equal(51, await Stores.CountKeysAsync(Orders, Ct));
    }
}

public sealed class MemoryDataStoreTests : DataStoreConformanceTests
{
    MemoryDataStores? stores;

    protected override IDataStores Stores => stores ??= new(Clock);
}

public sealed class SqliteDataStoreTests : DataStoreConformanceTests, IAsyncLifetime
{
    readonly StoreFolder folder = new();
    SqliteStore store = null!;

    protected override IDataStores Stores => store;

    public async ValueTask InitializeAsync() => store = await OpenAsync(folder.Database);

    async Task<SqliteStore> OpenAsync(string path) =>
        await SqliteStore.OpenAsync(
            path,
            TestSecrets.Concealment(),
            new(Clock),
            new EngineLimits(),
            Clock,
            NullLogger<SqliteStore>.Instance,
            Ct
        );

    public async ValueTask DisposeAsync()
    {
        await store.DisposeAsync();
        folder.Dispose();
    }

    [Fact]
    public async Task What_was_set_is_there_after_a_crash()
    {
        await SetAsync("a", "1");
        await SetAsync("b", "2", ttl: 10);
        var after = await OpenAsync(folder.CopyAsAfterCrash());
        await store.DisposeAsync();
        store = after;

        Assert.Equal("1", await GetAsync("a"));
        Clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Null(await GetAsync("b"));
    }

    [Fact]
    public async Task Values_are_not_to_be_found_in_the_file()
    {
        const string value = "a-value-that-nobody-sees";
        await SetAsync("a-key-that-is-seen", $"\"{value}\"");
        await store.DisposeAsync();

        byte[] file = await File.ReadAllBytesAsync(folder.Database, Ct);
        Assert.True(file.AsSpan().IndexOf("a-key-that-is-seen"u8) >= 0);
        Assert.True(file.AsSpan().IndexOf(Encoding.UTF8.GetBytes(value)) < 0);
        store = await OpenAsync(folder.Database);
    }

    [Fact]
    public async Task A_workflows_own_values_go_with_it_and_do_not_come_back()
    {
        var files = new Dictionary<string, string> { ["workflow.yaml"] = "name: orders" };
        var workflow = await store.DeployAsync("orders", files, [], Ct);
        var own = new StoreName(workflow.Id, "$own");
        Assert.Equal(SetOutcome.Set, await SetAsync("checkpoint", "1", store: own));
        Assert.Empty(await store.ListStoresAsync(Ct));
        await store.DeleteWorkflowAsync("orders", Ct);

        Assert.Null(await GetAsync("checkpoint", own));
        Assert.Equal(SetOutcome.Gone, await SetAsync("checkpoint", "2", store: own));
        Assert.Null(await GetAsync("checkpoint", own));
    }
}
