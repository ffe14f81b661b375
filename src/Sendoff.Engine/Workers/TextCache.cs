using System.Text;

namespace Sendoff.Engine.Workers;

/// <summary>Caches strings for repeated UTF-8 text: methods, URLs, header lines. Bounded, for one thread.</summary>
internal sealed class TextCache
{
    const int Slots = 256,
        LongestBytes = 512;

    readonly (byte[] Bytes, string Text)[] slots = new (byte[], string)[Slots];

    public string Get(ReadOnlySpan<byte> utf8)
    {
        if (utf8.Length > LongestBytes)
            return Encoding.UTF8.GetString(utf8);
        if (utf8.IsEmpty)
            return "";
        ref var slot = ref slots[Slot(utf8)];
        if (slot.Bytes is null || !utf8.SequenceEqual(slot.Bytes))
            slot = (utf8.ToArray(), Encoding.UTF8.GetString(utf8));
        return slot.Text;
    }

    static int Slot(ReadOnlySpan<byte> utf8)
    {
        var hash = new HashCode();
        hash.AddBytes(utf8);
        return hash.ToHashCode() & (Slots - 1);
    }
}
