using System.Text;
using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Storage;

/// <remarks>Event sources (K).</remarks>
public abstract partial class StoreConformanceTests
{
    QueuedRun NewCall(string? hook = null, Workflow? of = null) =>
        NewRun(of) is var run ? run with { Event = run.Event with { Trigger = new SourceCall("feed", hook).ToString() } } : null!;

    /// <summary>A run of the source that emits events with these ids. Returns those that are stored.</summary>
    async Task<string> EmitAsync(SourceDedupe dedupe, params string?[] ids)
    {
        var run = NewCall();
        Assert.True(await Store.AcceptAsync(run, Ct));
        var deliveries = Sends(run, ids.Length);
        await Store.FinishRunAsync(
            End(run) with
            {
                Source = new(new("feed"), dedupe, ids, new Dictionary<string, ReadOnlyMemory<byte>>()),
            },
            deliveries,
            Ct
        );
        var stored = (await Store.GetRunAsync(run.Id, Ct))!;
        return string.Join(
                ' ',
                stored.Deliveries.Select(one => ids[Array.FindIndex(deliveries, sent => sent.Id == one.Delivery.Id)] ?? "-")
            ) + (stored.Run.Message is { } message ? $" ({message})" : "");
    }

    [Fact]
    public async Task An_event_whose_id_was_emitted_before_is_dropped_also_after_a_crash()
    {
        Assert.Equal("1 2 - -", await EmitAsync(SourceDedupe.Unique, "1", "2", null, null));
        Assert.Equal("3 (1 of 2 events were emitted before and are left out)", await EmitAsync(SourceDedupe.Unique, "3", "3"));
        await CrashAsync();
        Assert.Equal(
            "4 - 5 (2 of 5 events were emitted before and are left out)",
            await EmitAsync(SourceDedupe.Unique, "1", "4", null, "2", "5")
        );
        Assert.Equal(" (1 of 1 events were emitted before and are left out)", await EmitAsync(SourceDedupe.Unique, "5"));
        Assert.Equal("5 5", await EmitAsync(SourceDedupe.None, "5", "5"));
    }

    [Theory]
    [InlineData("10", "9", "11", "12")]
    [InlineData("1450000000000000000002", "1450000000000000000001", "1450000000000000000003", "1450000000000000000004")]
    [InlineData("2026-11-23T10:00:00Z", "2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z")]
    public async Task Of_a_source_that_counts_up_events_above_all_earlier_ones_are_kept_in_any_order(
        string mark,
        string below,
        string above,
        string far
    )
    {
        Assert.Equal($"{mark} {below}", await EmitAsync(SourceDedupe.Greatest, mark, below));
        Assert.StartsWith($"{far} {above} (", await EmitAsync(SourceDedupe.Greatest, far, above, below, above));
        Assert.StartsWith(" (", await EmitAsync(SourceDedupe.Greatest, above, far));
    }

    [Fact]
    public async Task Of_a_source_that_lists_its_newest_events_those_after_the_last_emitted_one_are_kept()
    {
        Assert.Equal("a b", await EmitAsync(SourceDedupe.Last, "a", "b"));
        Assert.StartsWith("c d (", await EmitAsync(SourceDedupe.Last, "a", "b", "c", "d"));
        Assert.Equal("x y", await EmitAsync(SourceDedupe.Last, "x", "y"));
    }

    [Fact]
    public async Task What_a_source_keeps_is_stored_with_its_run_or_not_at_all()
    {
        var run = NewCall();
        await Store.AcceptAsync(run, Ct);
        var kept = new Dictionary<string, ReadOnlyMemory<byte>> { ["last"] = "7"u8.ToArray(), ["gone"] = default };
        var end = End(run) with { Source = new(new("feed"), SourceDedupe.Unique, [], kept) };
        var store = StoreName.OfSource(workflow.Id, "feed");
        Assert.True(await Store.FinishRunAsync(end, [], Ct));
        Assert.True(await Store.FinishRunAsync(end with { Source = end.Source with { Kept = Kept("8") } }, [], Ct));
        Assert.Equal("7", Encoding.UTF8.GetString((await Store.GetValueAsync(store, "last", Ct))!.Json.Span));

        await Store.ForgetSourceAsync(workflow.Id, "feed", Ct);
        Assert.Null(await Store.GetValueAsync(store, "last", Ct));
        Assert.Empty(await Store.ListSourcesAsync(workflow.Id, Ct));

        static Dictionary<string, ReadOnlyMemory<byte>> Kept(string value) => new() { ["last"] = Encoding.UTF8.GetBytes(value) };
    }

    [Fact]
    public async Task One_hook_of_a_source_runs_at_a_time_and_its_success_is_stored_with_it()
    {
        var first = NewCall("deploy");
        Assert.True(await Store.AcceptAsync(first, Ct));
        Assert.False(await Store.AcceptAsync(NewCall("activate"), Ct));
        await CrashAsync();
        Assert.False(await Store.AcceptAsync(NewCall("activate"), Ct));
        Assert.Equal(new SourceState(workflow.Id, "feed", false, 0, true), Assert.Single(await Store.ListSourcesAsync(null, Ct)));

        await FinishHookAsync(first, RunStatus.Succeeded);
        var second = NewCall("activate");
        Assert.True(await Store.AcceptAsync(second, Ct));
        await FinishHookAsync(second, RunStatus.Failed);
        Assert.Equal(new SourceState(workflow.Id, "feed", true, 0, false), Assert.Single(await Store.ListSourcesAsync(workflow.Id, Ct)));

        await Store.SettleHookAsync(workflow.Id, new("feed", "activate"), 3, Ct);
        Assert.Equal(3, Assert.Single(await Store.ListSourcesAsync(workflow.Id, Ct)).Version);
        await Store.DeleteWorkflowAsync("orders", Ct);
        Assert.Empty(await Store.ListSourcesAsync(null, Ct));
    }

    [Fact]
    public async Task A_hook_whose_run_ended_without_executing_does_not_block_the_next_one()
    {
        var lost = NewCall("activate");
        Assert.True(await Store.AcceptAsync(lost, Ct));
        Assert.True(await Store.FinishRunAsync(End(lost, RunStatus.Failed), [], Ct)); // it was recovered too often
        Assert.True(await Store.AcceptAsync(NewCall("activate"), Ct));
    }

    Task<bool> FinishHookAsync(QueuedRun run, RunStatus status) =>
        Store.FinishRunAsync(
            End(run, status) with
            {
                Source = new(run.Hook!.Value, SourceDedupe.None, [], new Dictionary<string, ReadOnlyMemory<byte>>()),
            },
            [],
            Ct
        );
}
