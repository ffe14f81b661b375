namespace Sendoff.Engine.Storage;

/// <summary>
/// Keeps a server that was started on a restored backup from repeating what was done after the backup: nothing is delivered, and no
/// schedule, suspended run, run over quota or run left by an earlier server starts by itself. New events are accepted and run. It lasts
/// over restarts, until somebody releases it.
/// </summary>
public sealed class ServerHold
{
    readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>When the server was put on hold; null when it is not.</summary>
    public DateTimeOffset? Since { get; private set; }

    public bool IsOn => Since is not null && !released.Task.IsCompleted;

    /// <summary>Completes when the hold is released; at once when there is none.</summary>
    public Task Released => Since is null ? Task.CompletedTask : released.Task;

    /// <summary>Begins, or continues what the store says. Call once, before anything starts by itself.</summary>
    /// <param name="asked">The start asks for a hold.</param>
    public async Task StartAsync(IStore store, bool asked, TimeProvider time, CancellationToken ct)
    {
        Since = await store.GetHoldAsync(ct).ConfigureAwait(false);
        if (Since is not null || !asked)
            return;
        var now = time.GetUtcNow();
        await store.SetHoldAsync(now, ct).ConfigureAwait(false);
        Since = now;
    }

    /// <summary>Lets everything start that waits. Returns false if there was no hold.</summary>
    public async Task<bool> ReleaseAsync(IStore store, CancellationToken ct)
    {
        if (!IsOn)
            return false;
        await store.SetHoldAsync(null, ct).ConfigureAwait(false);
        return released.TrySetResult();
    }
}
