namespace Sendoff.Engine.Storage.Sql;

/// <summary>The remaining bytes of headers and bodies for one document, which limits its memory.</summary>
internal sealed class ContentBudget(EngineLimits limits)
{
    long left = limits.DocumentBytes;

    /// <summary>A larger body is always omitted.</summary>
    public int MaxBodyBytes { get; } = limits.DocumentBodyBytes;

    /// <summary>Reserves the bytes of one row's content. Returns false if they do not fit.</summary>
    public bool TryTake(int headers, int body)
    {
        int bytes = headers + (body <= MaxBodyBytes ? body : 0);
        if (bytes > left)
            return false;
        left -= bytes;
        return true;
    }
}
