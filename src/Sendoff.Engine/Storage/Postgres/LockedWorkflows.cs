using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>Locks each workflow that a transaction uses, so that no server deletes it before the transaction ends.</summary>
internal sealed class LockedWorkflows : LiveWorkflows
{
    readonly Dictionary<long, bool> seen = [];

    protected override bool Exists(SqlSession session, long workflow)
    {
        if (seen.TryGetValue(workflow, out bool exists))
            return exists;
        exists = session.Sql("SELECT 1 FROM workflows WHERE id = ? FOR KEY SHARE").Set(workflow).Number() is not null;
        seen.Add(workflow, exists);
        return exists;
    }

    public override void Committed()
    {
        seen.Clear();
        base.Committed();
    }

    public override void RolledBack()
    {
        seen.Clear();
        base.RolledBack();
    }
}
