namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>How much of headers and bodies is still read into one document, so that none takes more memory than its limits say.</summary>
internal sealed class ContentBudget(EngineLimits limits)
{
    long left = limits.DocumentBytes;

    /// <summary>A body above it is left out, however much is left.</summary>
    public int MaxBodyBytes { get; } = limits.DocumentBodyBytes;

    /// <summary>Takes the bytes of one row's content. False when they do not fit any more.</summary>
    public bool TryTake(int headers, int body)
    {
        int bytes = headers + (body <= MaxBodyBytes ? body : 0);
        if (bytes > left)
            return false;
        left -= bytes;
        return true;
    }
}
