namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>An accepted, unfinished run, as small as possible. Its event's body stays in the database.</summary>
/// <param name="Left">An earlier server accepted it.</param>
internal readonly record struct UnfinishedRun(
    long RunId,
    long EventId,
    long WorkflowId,
    int Version,
    string Trigger,
    long ReceivedAt,
    bool Replay,
    bool Captured,
    long Continues,
    bool Held,
    bool Left
)
{
    /// <summary>The id from which a search after a start finds it.</summary>
    public long Mark => Replay || Continues != 0 ? RunId : EventId;
}

/// <summary>The unfinished runs, kept in memory, because runs are written only at their end. The writer adds and removes them after its
/// commit.</summary>
internal sealed class UnfinishedRuns
{
    readonly Dictionary<long, UnfinishedRun> runs = [];
    long[] left = [];

    public int Count
    {
        get
        {
            lock (runs)
                return runs.Count;
        }
    }

    public void Load(IEnumerable<UnfinishedRun> found)
    {
        foreach (var run in found)
            runs.Add(run.RunId, run);
        left = [.. runs.Keys.Order()];
    }

    public void Add(in UnfinishedRun run)
    {
        lock (runs)
            runs[run.RunId] = run;
    }

    public void Remove(long run)
    {
        lock (runs)
            runs.Remove(run);
    }

    public UnfinishedRun? Find(long run)
    {
        lock (runs)
            return runs.TryGetValue(run, out var found) ? found : null;
    }

    public List<UnfinishedRun> Where(Func<UnfinishedRun, bool> matches)
    {
        lock (runs)
            return [.. runs.Values.Where(matches)];
    }

    /// <summary>Runs of an earlier server, oldest first.</summary>
    public List<UnfinishedRun> Left(long after, int limit)
    {
        int start = Array.BinarySearch(left, after + 1);
        lock (runs)
            return [.. left.Skip(start < 0 ? ~start : start).Where(IsLeft).Take(limit).Select(id => runs[id])];
    }

    // A held run is queued when it is released; it is then no longer a run of an earlier server.
    bool IsLeft(long run) => runs.TryGetValue(run, out var found) && found is { Left: true, Held: false };

    public long HighestRun()
    {
        lock (runs)
            return runs.Count == 0 ? 0 : runs.Keys.Max();
    }

    /// <summary>The lowest mark of all runs; null if there are none.</summary>
    public long? LowestMark()
    {
        lock (runs)
            return runs.Count == 0 ? null : runs.Values.Min(static run => run.Mark);
    }
}
