namespace Sendoff.Engine.Storage.Sql;

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
    public RunStatus Status => Held ? RunStatus.Held : RunStatus.Queued;
}

/// <summary>Unfinished runs of a list, newest first. The ids are those of the runs; <paramref name="End"/> is exclusive.</summary>
internal sealed record UnfinishedFilter(
    long First = 0,
    long End = long.MaxValue,
    long? Workflow = null,
    long? Event = null,
    bool? Held = null,
    int Limit = int.MaxValue
);

/// <summary>The accepted, unfinished runs. Changes belong to the writer's transaction.</summary>
internal abstract class UnfinishedRuns
{
    public abstract void Accept(SqlSession session, in UnfinishedRun run);

    /// <summary>Returns false if the run has ended, or belongs to another server.</summary>
    public abstract bool Finish(SqlSession session, long run);

    /// <summary>Queues a held run.</summary>
    public abstract void Release(SqlSession session, in UnfinishedRun run);

    /// <summary>Removes the runs of a deleted workflow, with their counts of starts.</summary>
    public abstract void Forget(SqlSession session, long workflow);

    /// <summary>The last action of each transaction.</summary>
    public virtual void BeforeCommit(SqlSession session) { }

    public virtual void Committed() { }

    public virtual void RolledBack() { }

    public abstract UnfinishedRun? Find(SqlSession session, long run);

    public abstract List<UnfinishedRun> List(SqlSession session, UnfinishedFilter filter);

    /// <summary>The newest one of each workflow.</summary>
    public abstract List<UnfinishedRun> ListLast(SqlSession session);

    /// <summary>Held runs, oldest first.</summary>
    public abstract List<long> ListHeld(SqlSession session, int limit);

    /// <summary>Runs of an earlier server that this server must start, oldest first.</summary>
    public abstract List<UnfinishedRun> ListLeft(SqlSession session, long after, int limit);
}
