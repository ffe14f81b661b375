namespace Sendoff.Engine;

/// <summary>A section that only one caller at a time executes.</summary>
public static class Exclusive
{
    /// <summary>Waits until no other caller is inside.</summary>
    /// <returns>Dispose it to leave.</returns>
    public static async ValueTask<ExclusiveEntry> EnterAsync(this SemaphoreSlim section, CancellationToken ct)
    {
        await section.WaitAsync(ct).ConfigureAwait(false);
        return new(section);
    }
}

public readonly struct ExclusiveEntry(SemaphoreSlim section) : IDisposable
{
    public void Dispose() => section.Release();
}
