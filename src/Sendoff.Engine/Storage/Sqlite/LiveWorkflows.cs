namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>The existing workflows, cached by the writer, which executes all deployments and deletions. Changes apply immediately within a
/// batch, and permanently when it is committed.</summary>
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
