using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<IReadOnlyList<SourceState>> ListSourcesAsync(WorkflowId? workflow, CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<SourceState>>(
            session =>
                session
                    .Sql(
                        """
                        SELECT s.workflow_id, s.name, s.deployed, s.version,
                            CASE WHEN s.hook_run <> 0 AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = s.hook_run) THEN 1 ELSE 0 END
                        FROM workflows w JOIN sources s ON s.workflow_id = w.id WHERE ?1 = 0 OR w.id = ?1 ORDER BY s.workflow_id, s.name
                        """
                    )
                    .Set(workflow?.Value ?? 0)
                    .All(static row => new SourceState(new(row.Long(0)), row.Text(1), row.Int(2) != 0, row.Int(3), row.Int(4) != 0)),
            ct
        );

    public Task SettleHookAsync(WorkflowId workflow, SourceCall call, int version, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Keep,
            session =>
            {
                if (!workflows.Has(session, workflow.Value))
                    return false;
                SourceCommits.AddRow(session, workflow.Value, call.Source);
                SourceCommits.SettleHook(session, workflow.Value, call, version);
                return true;
            },
            ct
        );

    public Task ForgetSourceAsync(WorkflowId workflow, string source, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Keep,
            session =>
            {
                session.Sql("DELETE FROM source_ids WHERE workflow_id = ? AND source = ?").Set(workflow.Value).Set(source).Run();
                session
                    .Sql(
                        """
                        DELETE FROM store_values WHERE store_id IN (
                            SELECT id FROM stores WHERE workspace_id = ? AND workflow_id = ? AND name = ?)
                        """
                    )
                    .Set(WorkspaceId.Default.Value)
                    .Set(workflow.Value)
                    .Set(StoreName.OfSource(workflow, source).Name)
                    .Run();
                return session.Sql("DELETE FROM sources WHERE workflow_id = ? AND name = ?").Set(workflow.Value).Set(source).Run() == 1;
            },
            ct
        );
}

/// <summary>What the end of a source's run stores beside the run, in its transaction (K2).</summary>
internal static class SourceCommits
{
    const int HashBytes = 16;

    /// <summary>The run of a hook claims its source. Returns false if an earlier one has not ended.</summary>
    public static bool Claim(SqlSession session, WorkflowId workflow, string source, RunId run) =>
        session
            .Sql(
                """
                INSERT INTO sources(workflow_id, name, deployed, version, hook_run) VALUES (?1, ?2, 0, 0, ?3)
                ON CONFLICT(workflow_id, name) DO UPDATE SET hook_run = excluded.hook_run
                WHERE sources.hook_run = 0 OR EXISTS (SELECT 1 FROM runs WHERE id = sources.hook_run)
                """
            )
            .Set(workflow.Value)
            .Set(source)
            .Set(run.Value)
            .Run() == 1;

    /// <summary>Stores what the source has changed, and returns for each delivery whether its event is new (K3).</summary>
    public static bool[] Commit(SqlSession session, FinishRunWrite write, SourceCommit commit, EngineLimits limits)
    {
        var run = write.Run;
        long workflow = run.WorkflowId.Value;
        AddRow(session, workflow, commit.Call.Source);
        foreach (var (key, box) in write.Kept)
            Keep(session, StoreName.OfSource(run.WorkflowId, commit.Call.Source), key, box, SqlTime.From(run.StartedAt + run.Duration));
        if (commit.Call.Hook is not null)
        {
            if (run.Status == RunStatus.Succeeded)
                SettleHook(session, workflow, commit.Call, run.Version);
            session
                .Sql("UPDATE sources SET hook_run = 0 WHERE workflow_id = ? AND name = ? AND hook_run = ?")
                .Set(workflow)
                .Set(commit.Call.Source)
                .Set(run.Id.Value)
                .Run();
        }
        return commit.Dedupe switch
        {
            SourceDedupe.Unique => Unique(session, workflow, commit, limits.SourceIdsKept),
            SourceDedupe.Greatest => Greatest(session, workflow, commit),
            SourceDedupe.Last => AfterLast(session, workflow, commit),
            _ => [.. commit.Ids.Select(static _ => true)],
        };
    }

    public static void AddRow(SqlSession session, long workflow, string source) =>
        session
            .Sql("INSERT INTO sources(workflow_id, name, deployed, version, hook_run) VALUES (?, ?, 0, 0, 0) ON CONFLICT DO NOTHING")
            .Set(workflow)
            .Set(source)
            .Run();

    public static void SettleHook(SqlSession session, long workflow, SourceCall call, int version)
    {
        string change = call.Hook == SourceHook.Deploy ? "deployed = ?" : "version = ?";
        long value =
            call.Hook == SourceHook.Deploy ? 1
            : call.Hook == SourceHook.Activate ? version
            : 0;
        session.Sql($"UPDATE sources SET {change} WHERE workflow_id = ? AND name = ?").Set(value).Set(workflow).Set(call.Source).Run();
    }

    static void Keep(SqlSession session, StoreName store, byte[] key, byte[]? box, long now)
    {
        long? id = SqlStore.FindStore(session, store);
        if (box is not null)
            SqlStore.Put(session, id ?? SqlStore.MakeStore(session, store)!.Value, key, now, null, box);
        else if (id is not null)
            session.Sql("DELETE FROM store_values WHERE store_id = ? AND key = ?").Set(id.Value).Set(key).Run();
    }

    static bool[] Unique(SqlSession session, long workflow, SourceCommit commit, int kept)
    {
        bool[] isNew =
        [
            .. commit.Ids.Select(id =>
                id is null
                || session
                    .Sql("INSERT INTO source_ids(workflow_id, source, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                    .Set(workflow)
                    .Set(commit.Call.Source)
                    .Set(HashOf(id))
                    .Run() == 1
            ),
        ];
        session
            .Sql(
                """
                DELETE FROM source_ids WHERE workflow_id = ?1 AND source = ?2 AND id <= (
                    SELECT id FROM source_ids WHERE workflow_id = ?1 AND source = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)
                """
            )
            .Set(workflow)
            .Set(commit.Call.Source)
            .Set(kept)
            .Run();
        return isNew;
    }

    // Compared with the mark of earlier runs, because a run may emit its newest event first.
    static bool[] Greatest(SqlSession session, long workflow, SourceCommit commit)
    {
        decimal? mark = ReadMark(session, workflow, commit) is { IsEmpty: false } text ? Rank(Encoding.UTF8.GetString(text.Span)) : null;
        var seen = new HashSet<decimal>();
        var ranks = commit.Ids.Select(static id => id is null ? null : Rank(id)).ToList();
        bool[] isNew = [.. ranks.Select(rank => rank is not { } value || (mark is null || value > mark) && seen.Add(value))];
        if (seen.Count > 0)
            WriteMark(session, workflow, commit, Encoding.UTF8.GetBytes(seen.Max().ToString(CultureInfo.InvariantCulture)));
        return isNew;
    }

    /// <summary>An id as a number: itself, or a time in ms. Null if it is neither.</summary>
    static decimal? Rank(string id) =>
        decimal.TryParse(id, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal number) ? number
        : DateTimeOffset.TryParse(id, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToUnixTimeMilliseconds()
        : null;

    static bool[] AfterLast(SqlSession session, long workflow, SourceCommit commit)
    {
        byte[]?[] hashes = [.. commit.Ids.Select(static id => id is null ? null : HashOf(id))];
        var mark = ReadMark(session, workflow, commit);
        int last = mark.IsEmpty ? -1 : Array.FindLastIndex(hashes, hash => hash is not null && mark.Span.SequenceEqual(hash));
        if (Array.FindLast(hashes, static hash => hash is not null) is { } newest)
            WriteMark(session, workflow, commit, newest);
        return [.. hashes.Select((_, i) => i > last)];
    }

    static ReadOnlyMemory<byte> ReadMark(SqlSession session, long workflow, SourceCommit commit) =>
        session
            .Sql("SELECT mark FROM sources WHERE workflow_id = ? AND name = ?")
            .Set(workflow)
            .Set(commit.Call.Source)
            .FirstOrDefault(static row => row.Bytes(0));

    static void WriteMark(SqlSession session, long workflow, SourceCommit commit, byte[] mark) =>
        session.Sql("UPDATE sources SET mark = ? WHERE workflow_id = ? AND name = ?").Set(mark).Set(workflow).Set(commit.Call.Source).Run();

    // Ids may contain data of users, and their length is not limited.
    static byte[] HashOf(string id) => SHA256.HashData(Encoding.UTF8.GetBytes(id))[..HashBytes];
}
