using System.Security.Cryptography;
using System.Text;

namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<Workflow> DeployAsync(
        string name,
        IReadOnlyDictionary<string, string> files,
        IReadOnlyList<Trigger> triggers,
        CancellationToken ct
    )
    {
        byte[] json = StoredJson.Files(files);
        return GrowAsync(session => Deploy(session, name, json, triggers), ct);
    }

    Workflow Deploy(SqlSession session, string name, byte[] files, IReadOnlyList<Trigger> triggers)
    {
        long workflow = session
            .Sql(
                """
                INSERT INTO workflows(id, workspace_id, version, enabled, name) VALUES (?, ?, 1, 1, ?)
                ON CONFLICT(name) DO UPDATE SET version = workflows.version + 1 RETURNING id
                """
            )
            .Set(ids.Next())
            .Set(WorkspaceId.Default.Value)
            .Set(name)
            .Number()!
            .Value;
        workflows.Add(workflow);
        session
            .Sql("INSERT INTO versions(workflow_id, number, deployed_at, files) SELECT id, version, ?, ? FROM workflows WHERE id = ?")
            .Set(SqlTime.From(time.GetUtcNow()))
            .Set(files)
            .Set(workflow)
            .Run();
        DeployTriggers(session, workflow, triggers);
        return ReadWorkflows(session, name)[0];
    }

    void DeployTriggers(SqlSession session, long workflow, IReadOnlyList<Trigger> triggers)
    {
        // A trigger keeps its key by its position among triggers of the same type and identity, so that other triggers do not affect it.
        var kept = session
            .Sql("SELECT type, identity, key, settled_at FROM triggers WHERE workflow_id = ? ORDER BY position")
            .Set(workflow)
            .All(static row => (Kind: (row.Text(0), row.Text(1)), Key: row.Text(2), SettledAt: row.Long(3)))
            .ToLookup(static old => old.Kind);
        session.Sql("DELETE FROM triggers WHERE workflow_id = ?").Set(workflow).Run();
        var asked = triggers.Select(AskedKey).ToHashSet();
        for (int position = 0; position < triggers.Count; position++)
        {
            var trigger = triggers[position];
            int place = triggers.Take(position).Count(before => before.Type == trigger.Type && before.Identity == trigger.Identity);
            var (_, oldKey, oldSettledAt) = kept[(trigger.Type, trigger.Identity)].ElementAtOrDefault(place);
            string key = AskedKey(trigger) ?? (oldKey is null || asked.Contains(oldKey) ? NewKey() : oldKey);
            long settledAt = oldKey is null ? SqlTime.From(time.GetUtcNow()) : oldSettledAt;
            if (KeyOwner(session, key) is { } owner)
                throw new TriggerKeyTakenException(key, owner);
            session
                .Sql("INSERT INTO triggers(workflow_id, position, type, key, identity, settled_at) VALUES (?, ?, ?, ?, ?, ?)")
                .Set(workflow)
                .Set(position)
                .Set(trigger.Type)
                .Set(key)
                .Set(trigger.Identity)
                .Set(settledAt)
                .Run();
        }
    }

    const int DraftsKept = 50;

    static string? AskedKey(Trigger trigger) => (trigger as HttpTrigger)?.Key;

    static string? KeyOwner(SqlSession session, string key) =>
        session
            .Sql("SELECT w.name FROM triggers t JOIN workflows w ON w.id = t.workflow_id WHERE t.key = ?")
            .Set(key)
            .FirstOrDefault(static row => row.Text(0));

    /// <summary>120 random bits, because the key gives permission to start the workflow and must not be guessable.</summary>
    static string NewKey() => RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz234567", 24);

    public Task<IReadOnlyList<Workflow>> ListWorkflowsAsync(CancellationToken ct) =>
        readers.ReadAsync(session => ReadWorkflows(session, null), ct);

    public Task<Workflow?> GetWorkflowAsync(string name, CancellationToken ct) =>
        readers.ReadAsync(session => ReadWorkflows(session, name) is [var found, ..] ? found : null, ct);

    static IReadOnlyList<Workflow> ReadWorkflows(SqlSession session, string? name)
    {
        var triggers = session
            .Sql("SELECT workflow_id, type, key, settled_at FROM triggers ORDER BY workflow_id, position")
            .All(static row => (Workflow: row.Long(0), Address: new TriggerAddress(row.Text(1), row.Text(2), SqlTime.Moment(row.Long(3)))))
            .ToLookup(static trigger => trigger.Workflow, static trigger => trigger.Address);
        return session
            .Sql(
                """
                SELECT w.id, w.name, w.version, w.enabled, v.deployed_at
                FROM workflows w JOIN versions v ON v.workflow_id = w.id AND v.number = w.version
                WHERE ?1 IS NULL OR w.name = ?1 ORDER BY w.name
                """
            )
            .Set(name)
            .All(row => new Workflow(
                new(row.Long(0)),
                row.Text(1),
                row.Int(2),
                row.Int(3) != 0,
                SqlTime.Moment(row.Long(4)),
                [.. triggers[row.Long(0)]]
            ));
    }

    public Task<StoredVersion?> GetVersionAsync(WorkflowId workflow, int version, CancellationToken ct) =>
        readers.ReadAsync(
            session =>
                session
                    .Sql(
                        """
                        SELECT w.id, w.name, v.number, v.deployed_at, v.files FROM versions v JOIN workflows w ON w.id = v.workflow_id
                        WHERE v.workflow_id = ? AND v.number = ?
                        """
                    )
                    .Set(workflow.Value)
                    .Set(version)
                    .FirstOrDefault(ReadVersion),
            ct
        );

    public Task<IReadOnlyList<StoredVersion>> ListCurrentVersionsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredVersion>>(
            session =>
                session
                    .Sql(
                        $"""
                        SELECT w.id, w.name, v.number, v.deployed_at, v.files FROM workflows w {session.Dialect.Join} versions v ON v.workflow_id = w.id AND v.number = w.version
                        """
                    )
                    .All(ReadVersion),
            ct
        );

    public Task<IReadOnlyList<string>> ListFileTextsAsync(string file, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<string>>(
            session =>
                session
                    .Sql($"SELECT files FROM versions WHERE {session.Dialect.Contains("files", "?")}")
                    .Set(Encoding.UTF8.GetBytes(file))
                    .All(row => StoredJson.ReadFiles(row.Blob(0)).GetValueOrDefault(file))
                    .OfType<string>()
                    .Distinct()
                    .ToList(),
            ct
        );

    public Task<IReadOnlyList<StoredVersion>> ListVersionsAsync(WorkflowId workflow, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredVersion>>(
            session =>
                session
                    .Sql(
                        """
                        SELECT w.id, w.name, v.number, v.deployed_at, v.files FROM versions v JOIN workflows w ON w.id = v.workflow_id
                        WHERE v.workflow_id = ? AND v.number > 0 ORDER BY v.number DESC
                        """
                    )
                    .Set(workflow.Value)
                    .All(ReadVersion),
            ct
        );

    public Task<StoredVersion?> SaveDraftAsync(
        WorkflowId workflow,
        IReadOnlyDictionary<string, string> files,
        bool isFixed,
        CancellationToken ct,
        DateTimeOffset? since = null
    )
    {
        byte[] json = StoredJson.Files(files);
        return GrowAsync(
            session =>
            {
                var before = since is null ? null : ReadDraft(session, workflow.Value);
                var saved = SaveDraft(session, workflow.Value, json, isFixed);
                // A draft that was saved while the test was prepared stays the newest.
                if (saved is not null && before is not null && before.DeployedAt > since)
                    SaveDraft(session, workflow.Value, StoredJson.Files(before.Files), isFixed: false);
                return saved;
            },
            ct
        );
    }

    StoredVersion? SaveDraft(SqlSession session, long workflow, byte[] files, bool isFixed)
    {
        if (!workflows.Has(session, workflow))
            return null;
        var (newest, isNewestFixed, isSame) = session
            .Sql("SELECT number, fixed, files = ? FROM versions WHERE workflow_id = ? AND number < 0 ORDER BY number LIMIT 1")
            .Set(files)
            .Set(workflow)
            .FirstOrDefault(static row => (row.Int(0), row.Int(1) != 0, row.Int(2) != 0));
        int number = newest < 0 && (isSame || !isNewestFixed) ? newest : newest - 1;
        session
            .Sql(
                $"""
                INSERT INTO versions(workflow_id, number, deployed_at, files, fixed) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT(workflow_id, number) DO UPDATE SET deployed_at = excluded.deployed_at, files = excluded.files, fixed = {session.Dialect.Greatest(
                    "versions.fixed",
                    "excluded.fixed"
                )}
                """
            )
            .Set(workflow)
            .Set(number)
            .Set(SqlTime.From(time.GetUtcNow()))
            .Set(files)
            .Set(isFixed ? 1 : 0)
            .Run();
        // A suspended run continues with its draft.
        session
            .Sql(
                $"""
                DELETE FROM versions AS v WHERE workflow_id = ? AND number < 0 AND number >= ? AND NOT EXISTS (
                    SELECT 1 FROM suspensions s {session.Dialect.Index(
                    "suspensions_open"
                )} {session.Dialect.Join} runs r ON r.id = s.run_id WHERE s.workflow_id = v.workflow_id AND s.state IS NOT NULL AND r.version = v.number)
                """
            )
            .Set(workflow)
            .Set(number + DraftsKept)
            .Run();
        return ReadDraft(session, workflow);
    }

    public Task<StoredVersion?> GetDraftAsync(WorkflowId workflow, CancellationToken ct) =>
        readers.ReadAsync(session => ReadDraft(session, workflow.Value), ct);

    static StoredVersion? ReadDraft(SqlSession session, long workflow) =>
        session
            .Sql(
                """
                SELECT w.id, w.name, v.number, v.deployed_at, v.files FROM versions v JOIN workflows w ON w.id = v.workflow_id
                WHERE v.workflow_id = ? AND v.number < 0 ORDER BY v.number LIMIT 1
                """
            )
            .Set(workflow)
            .FirstOrDefault(ReadVersion);

    static StoredVersion ReadVersion(SqlStatement row) =>
        new(new(row.Long(0)), row.Text(1), row.Int(2), SqlTime.Moment(row.Long(3)), StoredJson.ReadFiles(row.Blob(4)));

    public Task<bool> SetEnabledAsync(string name, bool enabled, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
            {
                // A disabled schedule has no missed due times.
                if (enabled)
                    session
                        .Sql(
                            $"""
                            UPDATE triggers SET settled_at = {session.Dialect.Greatest("settled_at", "?")}
                            WHERE workflow_id = (SELECT id FROM workflows WHERE name = ? AND enabled = 0)
                            """
                        )
                        .Set(SqlTime.From(time.GetUtcNow()))
                        .Set(name)
                        .Run();
                return session.Sql("UPDATE workflows SET enabled = ? WHERE name = ? AND version > 0").Set(enabled).Set(name).Run() == 1;
            },
            ct
        );

    /// <summary>Hides the workflow immediately; pruning deletes its history in slices, so that other writes proceed.</summary>
    public async Task<bool> DeleteWorkflowAsync(string name, CancellationToken ct)
    {
        long workflow = 0;
        await WriteAsync(OutageRule.Refuse, session => workflow = DeleteWorkflow(session, name), ct);
        if (workflow == 0)
            return false;
        Interlocked.Exchange(ref pruneWanted, NewSignal()).SetResult();
        return true;
    }

    TaskCompletionSource pruneWanted = NewSignal();

    public Task PruneWanted => Volatile.Read(ref pruneWanted).Task;

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    long DeleteWorkflow(SqlSession session, string name)
    {
        long workflow = session.Sql("DELETE FROM workflows WHERE name = ? AND version > 0 RETURNING id").Set(name).Number() ?? 0;
        if (workflow == 0)
            return 0;
        workflows.Remove(workflow);
        unfinished.Forget(session, workflow);
        // Another workflow can use its keys from now on.
        session.Sql("DELETE FROM triggers WHERE workflow_id = ?").Set(workflow).Run();
        session.Sql("DELETE FROM alert_states WHERE workflow_id = ?").Set(workflow).Run();
        session.Sql("INSERT INTO deletions(workflow_id) VALUES (?)").Set(workflow).Run();
        return workflow;
    }
}
