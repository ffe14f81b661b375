using Microsoft.Extensions.Time.Testing;

namespace Sendoff.Tests;

public sealed class IdTests
{
    [Fact]
    public void Text_form_sorts_as_the_number_and_reads_back()
    {
        var ids = new IdSequence(new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T00:00:00Z")));
        var first = new RunId(ids.Next());
        var second = new RunId(ids.Next());

        Assert.True(string.CompareOrdinal(first.ToString(), second.ToString()) < 0);
        Assert.True(RunId.TryParse(second.ToString(), out var read));
        Assert.Equal(second, read);
        Assert.False(EventId.TryParse(second.ToString(), out _));
    }

    [Fact]
    public void Ids_keep_growing_when_the_clock_steps_back_or_the_store_is_ahead()
    {
        var clock = new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T00:00:00Z")) { };
        var ids = new IdSequence(clock);
        ids.UseSlot(7);
        long before = ids.NextBlock(1000);
        var restarted = new IdSequence(new FakeTimeProvider(DateTimeOffset.Parse("2026-01-23T00:00:00Z")));
        restarted.UseSlot(7);
        restarted.StartAfter(before + 999 * IdSequence.Stride);

        Assert.True(ids.Next() > before + 999 * IdSequence.Stride);
        Assert.True(restarted.Next() > before + 999 * IdSequence.Stride);
        Assert.Equal(7, restarted.Next() & (IdSequence.Stride - 1));
    }

    [Fact]
    public void Ids_of_a_new_slot_are_above_those_of_the_one_before()
    {
        var ids = new IdSequence(new FakeTimeProvider(DateTimeOffset.Parse("2026-11-23T00:00:00Z")));
        ids.UseSlot(7);
        long before = ids.Next();
        ids.UseSlot(2);
        long after = ids.Next();

        Assert.True(after > before);
        Assert.Equal(2, after & (IdSequence.Stride - 1));
    }
}
