using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine.Runs;

/// <summary>Prunes history by age and size, and expired keys of data stores, in slices, so that disk space is returned while the server
/// runs (G2).</summary>
sealed class Retention(IStore store, EngineContext engine, ILogger<Retention> log) : BackgroundService
{
    static readonly TimeSpan rest = TimeSpan.FromMinutes(1);
    static readonly TimeSpan betweenSlices = TimeSpan.FromMilliseconds(50);
    static readonly Task never = new TaskCompletionSource().Task;

    DateTimeOffset seenAt = engine.Time.GetUtcNow();
    long seen = engine.Time.GetTimestamp();
    bool timesAreChecked;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Corrects times that were stored while the clock was ahead, and continues interrupted deletions.
        var wanted = Task.CompletedTask;
        // A cancellation that escapes here would be logged as an internal error.
        while (!stoppingToken.IsCancellationRequested)
        {
            await Task.WhenAny(Task.Delay(rest, engine.Time, stoppingToken), wanted).ConfigureAwait(false);
            if (stoppingToken.IsCancellationRequested)
                return;
            wanted = never;
            try
            {
                wanted = store.PruneWanted; // before the pass, so that no request in between is lost
                if (HasClockBeenSetBack())
                    timesAreChecked = false;
                if (!timesAreChecked)
                    await store.CorrectTimesAsync(stoppingToken).ConfigureAwait(false);
                timesAreChecked = true;
                long rows = await PruneAsync(stoppingToken).ConfigureAwait(false);
                if (rows > 0)
                    log.HistoryPruned(rows);
            }
            catch (StoreUnavailableException x)
            {
                log.PruningPostponed(x.Message);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception x)
            {
                log.PruningFailed(x); // an exception that escapes here would end the server
            }
        }
    }

    bool HasClockBeenSetBack()
    {
        var expected = seenAt + engine.Time.GetElapsedTime(seen);
        (seenAt, seen) = (engine.Time.GetUtcNow(), engine.Time.GetTimestamp());
        if (expected - seenAt <= engine.Limits.ClockTolerance)
            return false;
        log.ClockSetBack((expected - seenAt).TotalSeconds);
        return true;
    }

    async Task<long> PruneAsync(CancellationToken ct)
    {
        while (await store.PruneValuesAsync(engine.Limits.PruneKeys, ct).ConfigureAwait(false) == engine.Limits.PruneKeys)
            await Task.Delay(betweenSlices, engine.Time, ct).ConfigureAwait(false);
        long rows = 0;
        var before = engine.Time.GetUtcNow() - engine.Limits.RetentionAge;
        while (true)
        {
            var slice = await store.PruneAsync(before, engine.Limits.RetentionBytes, ct).ConfigureAwait(false);
            rows += slice.Rows;
            if (!slice.More)
                return rows;
            await Task.Delay(betweenSlices, engine.Time, ct).ConfigureAwait(false);
        }
    }
}
