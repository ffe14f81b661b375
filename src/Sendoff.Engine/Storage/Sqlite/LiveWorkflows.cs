namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>
/// The workflows that exist, known to the writer without asking the database: deployments and deletions pass through the same writer. What
/// a batch changes counts within it at once, and for good when it is committed.
/// </summary>
internal sealed class LiveWorkflows
{
    readonly HashSet<long> committed = [];
    readonly Dictionary<long, bool> changed = [];

    public void Load(IEnumerable<long> workflows) => committed.UnionWith(workflows);

    public bool Has(long workflow) =>
        changed.Count > 0 && changed.TryGetValue(workflow, out bool lives) ? lives : committed.Contains(workflow);

    public void Add(long workflow) => changed[workflow] = true;

    public void Remove(long workflow) => changed[workflow] = false;

    public void Commit()
    {
        foreach (var (workflow, lives) in changed)
        {
            if (lives)
                committed.Add(workflow);
            else
                committed.Remove(workflow);
        }
        changed.Clear();
    }

    public void Rollback() => changed.Clear();
}
