using System.Diagnostics.CodeAnalysis;

namespace Sendoff.Engine.Model;

/// <summary>An event received by a trigger. Text form <c>evt_…</c>, sortable by time.</summary>
public readonly record struct EventId(long Value)
{
    public override string ToString() => IdText.Format("evt_", Value);

    public static bool TryParse(string? text, out EventId id)
    {
        bool ok = IdText.TryParse("evt_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>A run: one execution of a workflow version for one event. Text form <c>run_…</c>, sortable by time.</summary>
public readonly record struct RunId(long Value)
{
    public override string ToString() => IdText.Format("run_", Value);

    public static bool TryParse(string? text, out RunId id)
    {
        bool ok = IdText.TryParse("run_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>A delivery: the request of a committed send. Text form <c>dlv_…</c>, sortable by time.</summary>
public readonly record struct DeliveryId(long Value)
{
    public override string ToString() => IdText.Format("dlv_", Value);

    public static bool TryParse(string? text, out DeliveryId id)
    {
        bool ok = IdText.TryParse("dlv_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>A token for the API. Text form <c>tok_…</c>.</summary>
public readonly record struct TokenId(long Value)
{
    public override string ToString() => IdText.Format("tok_", Value);

    public static bool TryParse(string? text, out TokenId id)
    {
        bool ok = IdText.TryParse("tok_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>An alert rule. Text form <c>alr_…</c>.</summary>
public readonly record struct AlertId(long Value)
{
    public override string ToString() => IdText.Format("alr_", Value);

    public static bool TryParse(string? text, out AlertId id)
    {
        bool ok = IdText.TryParse("alr_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>A signed-in browser. Text form <c>ses_…</c>.</summary>
public readonly record struct SessionId(long Value)
{
    public override string ToString() => IdText.Format("ses_", Value);

    public static bool TryParse(string? text, out SessionId id)
    {
        bool ok = IdText.TryParse("ses_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>A workflow, over all of its versions. Text form <c>wf_…</c>.</summary>
public readonly record struct WorkflowId(long Value)
{
    public override string ToString() => IdText.Format("wf_", Value);

    public static bool TryParse(string? text, out WorkflowId id)
    {
        bool ok = IdText.TryParse("wf_", text, out long value);
        id = new(value);
        return ok;
    }
}

/// <summary>The owner of every row. By default, there is one workspace.</summary>
public readonly record struct WorkspaceId(int Value)
{
    public static readonly WorkspaceId Default = new(1);
}

/// <summary>Creates 64-bit ids that grow with time: milliseconds since 2026, then a sequence, then the server's slot. They are the primary
/// keys of the hot tables, so that rows are appended and never inserted in between (docs/decisions/0002).</summary>
/// <param name="time">The clock. Ids still grow when it is set back.</param>
public sealed class IdSequence(TimeProvider time)
{
    const int SlotBits = 10,
        SequenceBits = 12;
    static readonly long epochMs = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeMilliseconds();

    volatile int slot;
    long last;

    /// <summary>The next id.</summary>
    public long Next() => NextBlock(1);

    /// <summary>The first of <paramref name="count"/> consecutive ids, each <see cref="Stride"/> above the previous one.</summary>
    public long NextBlock(int count)
    {
        long now = ((time.GetUtcNow().ToUnixTimeMilliseconds() - epochMs) << (SequenceBits + SlotBits)) | (long)slot;
        while (true)
        {
            long seen = Volatile.Read(ref last);
            long first = Math.Max(seen + Stride, now);
            if (Interlocked.CompareExchange(ref last, first + (count - 1) * Stride, seen) == seen)
                return first;
        }
    }

    /// <summary>The lowest id that can be created at this time or later, so that a time range is a range of ids.</summary>
    public static long LowestAt(DateTimeOffset moment)
    {
        const int bits = SequenceBits + SlotBits;
        return Math.Clamp(moment.ToUnixTimeMilliseconds() - epochMs, 0, long.MaxValue >> bits) << bits;
    }

    /// <summary>The time at which an id was created, in milliseconds, unless the clock had been set back before.</summary>
    public static DateTimeOffset MomentOf(long id) => DateTimeOffset.FromUnixTimeMilliseconds((id >> (SequenceBits + SlotBits)) + epochMs);

    /// <summary>This server's slot in the cluster, 0 to 1,023; 0 by default. Two servers never share a slot.</summary>
    public void UseSlot(int slot)
    {
        this.slot = slot;
        long seen = Volatile.Read(ref last);
        while (Interlocked.CompareExchange(ref last, (((seen >> SlotBits) + 1) << SlotBits) | (long)slot, seen) is var now && now != seen)
            seen = now;
    }

    /// <summary>Makes all new ids greater than this one, the highest in the store.</summary>
    public void StartAfter(long highest)
    {
        long floor = (highest >> SlotBits << SlotBits) | (long)slot;
        if (floor > Volatile.Read(ref last))
            Volatile.Write(ref last, floor);
    }

    /// <summary>The distance between ids in a block.</summary>
    public const long Stride = 1L << SlotBits;
}

/// <summary>Ids as text: a prefix and 13 characters of Crockford's base 32, which sort like the numbers.</summary>
static class IdText
{
    const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    const int Length = 13;

    public static string Format(string prefix, long value) =>
        string.Create(
            prefix.Length + Length,
            (prefix, value),
            static (text, id) =>
            {
                id.prefix.CopyTo(text);
                ulong rest = (ulong)id.value;
                for (int i = text.Length - 1; i >= id.prefix.Length; i--, rest >>= 5)
                    text[i] = Alphabet[(int)(rest & 31)];
            }
        );

    public static bool TryParse(string prefix, [NotNullWhen(true)] string? text, out long value)
    {
        value = 0;
        if (text is null || text.Length != prefix.Length + Length || !text.StartsWith(prefix, StringComparison.Ordinal))
            return false;
        ulong result = 0;
        foreach (char c in text.AsSpan(prefix.Length))
        {
            int digit = Alphabet.IndexOf(c);
            if (digit < 0)
                return false;
            result = (result << 5) | (uint)digit;
        }
        value = (long)result;
        return value >= 0;
    }
}
