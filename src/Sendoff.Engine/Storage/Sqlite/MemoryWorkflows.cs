using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>All workflows in memory: the writer executes all deployments and deletions.</summary>
internal sealed class MemoryWorkflows : LiveWorkflows
{
    readonly HashSet<long> committed = [];

    public void Load(SqlSession session) => committed.UnionWith(session.Sql("SELECT id FROM workflows").All(static row => row.Long(0)));

    protected override bool Exists(SqlSession session, long workflow) => committed.Contains(workflow);

    public override void Committed()
    {
        foreach (var (workflow, lives) in Changed)
        {
            if (lives)
                committed.Add(workflow);
            else
                committed.Remove(workflow);
        }
        base.Committed();
    }
}
