namespace Sendoff.Engine.Storage;

/// <summary>Prevents a server with a restored backup from repeating work that was done after the backup: deliveries, schedules, suspended
/// runs, runs over quota and unfinished runs of an earlier server do not start. New events are accepted and run. The hold persists across
/// restarts until it is released.</summary>
public sealed class ServerHold
{
    readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The start of the hold; null if the server is not on hold.</summary>
    public DateTimeOffset? Since { get; private set; }

    public bool IsOn => Since is not null && !released.Task.IsCompleted;

    /// <summary>Completes when the hold is released, or immediately if there is none.</summary>
    public Task Released => Since is null ? Task.CompletedTask : released.Task;

    /// <summary>Starts a hold, or continues the one in the store. Call once, before anything is started.</summary>
    /// <param name="asked">Whether the start requests a hold.</param>
    public async Task StartAsync(IStore store, bool asked, TimeProvider time, CancellationToken ct)
    {
        Since = await store.GetHoldAsync(ct).ConfigureAwait(false);
        if (Since is not null || !asked)
            return;
        var now = time.GetUtcNow();
        await store.SetHoldAsync(now, ct).ConfigureAwait(false);
        Since = now;
    }

    /// <summary>Ends the hold if another server has released it.</summary>
    public async Task FollowAsync(IStore store, CancellationToken ct)
    {
        if (IsOn && await store.GetHoldAsync(ct).ConfigureAwait(false) is null)
            released.TrySetResult();
    }

    /// <summary>Releases the hold. Returns false if there was none.</summary>
    public async Task<bool> ReleaseAsync(IStore store, CancellationToken ct)
    {
        if (!IsOn)
            return false;
        await store.SetHoldAsync(null, ct).ConfigureAwait(false);
        return released.TrySetResult();
    }
}
