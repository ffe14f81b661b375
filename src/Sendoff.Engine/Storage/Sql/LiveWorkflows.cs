namespace Sendoff.Engine.Storage.Sql;

/// <summary>The existing workflows, as seen by the writer's transaction.</summary>
internal abstract class LiveWorkflows
{
    readonly Dictionary<long, bool> changed = [];

    protected IReadOnlyDictionary<long, bool> Changed => changed;

    public bool Has(SqlSession session, long workflow) =>
        changed.Count > 0 && changed.TryGetValue(workflow, out bool lives) ? lives : Exists(session, workflow);

    protected abstract bool Exists(SqlSession session, long workflow);

    public void Add(long workflow) => changed[workflow] = true;

    public void Remove(long workflow) => changed[workflow] = false;

    public virtual void Committed() => changed.Clear();

    public virtual void RolledBack() => changed.Clear();
}
