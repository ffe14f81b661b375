namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<IReadOnlyList<StoredSecret>> ListSecretsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredSecret>>(
            static session =>
                session
                    .Sql("SELECT id, workspace_id, changed_at, replaced_at, is_secret, name, value FROM secrets ORDER BY name, id")
                    .All(ReadSecret),
            ct
        );

    public Task SaveSecretAsync(StoredSecret secret, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
            {
                Replace(session, secret.WorkspaceId, secret.Name, secret.ChangedAt);
                return session
                    .Sql("INSERT INTO secrets(id, workspace_id, changed_at, is_secret, name, value) VALUES (?, ?, ?, ?, ?, ?)")
                    .Set(secret.Id)
                    .Set(secret.WorkspaceId.Value)
                    .Set(SqlTime.From(secret.ChangedAt))
                    .Set(secret.IsSecret)
                    .Set(secret.Name)
                    .Set(secret.Sealed.Span)
                    .Run();
            },
            ct
        );

    public Task<bool> DeleteSecretAsync(WorkspaceId workspace, string name, CancellationToken ct) =>
        WriteAsync(OutageRule.Refuse, session => Replace(session, workspace, name, time.GetUtcNow()) > 0, ct);

    public Task<long> KeepFingerprintAsync(long fingerprint, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
            {
                session.Sql("INSERT INTO meta(name, value) VALUES ('key_fingerprint', ?) ON CONFLICT DO NOTHING").Set(fingerprint).Run();
                return session.Number("SELECT value FROM meta WHERE name = 'key_fingerprint'");
            },
            ct
        );

    public Task<DateTimeOffset?> GetHoldAsync(CancellationToken ct) =>
        readers.ReadAsync<DateTimeOffset?>(
            static session =>
                session.Sql("SELECT value FROM meta WHERE name = 'held_since'").Number() is { } since ? SqlTime.Moment(since) : null,
            ct
        );

    public Task SetHoldAsync(DateTimeOffset? since, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
                since is { } moment
                    ? session
                        .Sql(
                            "INSERT INTO meta(name, value) VALUES ('held_since', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value"
                        )
                        .Set(SqlTime.From(moment))
                        .Run()
                    : session.Sql("DELETE FROM meta WHERE name = 'held_since'").Run(),
            ct
        );

    public Task<IReadOnlyList<StoredToken>> ListTokensAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredToken>>(
            static session =>
                session
                    .Sql("SELECT id, workspace_id, name, scope, hash, created_at FROM tokens ORDER BY id")
                    .All(static row => new StoredToken(
                        new(row.Long(0)),
                        new(row.Int(1)),
                        row.Text(2),
                        (TokenScope)row.Int(3),
                        row.Bytes(4),
                        SqlTime.Moment(row.Long(5))
                    )),
            ct
        );

    public Task SaveTokenAsync(StoredToken token, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
                session
                    .Sql("INSERT INTO tokens(id, workspace_id, scope, created_at, name, hash) VALUES (?, ?, ?, ?, ?, ?)")
                    .Set(token.Id.Value)
                    .Set(token.WorkspaceId.Value)
                    .Set((int)token.Scope)
                    .Set(SqlTime.From(token.CreatedAt))
                    .Set(token.Name)
                    .Set(token.Hash.Span)
                    .Run(),
            ct
        );

    public Task<bool> DeleteTokenAsync(TokenId token, CancellationToken ct) =>
        WriteAsync(OutageRule.Refuse, session => session.Sql("DELETE FROM tokens WHERE id = ?").Set(token.Value).Run() == 1, ct);

    // Old values of variables are not needed.
    static int Replace(SqlSession session, WorkspaceId workspace, string name, DateTimeOffset at)
    {
        int removed = session
            .Sql("DELETE FROM secrets WHERE workspace_id = ? AND name = ? AND replaced_at IS NULL AND is_secret = 0")
            .Set(workspace.Value)
            .Set(name)
            .Run();
        return removed
            + session
                .Sql("UPDATE secrets SET replaced_at = ? WHERE workspace_id = ? AND name = ? AND replaced_at IS NULL")
                .Set(SqlTime.From(at))
                .Set(workspace.Value)
                .Set(name)
                .Run();
    }

    static StoredSecret ReadSecret(SqlStatement row) =>
        new(
            row.Long(0),
            new(row.Int(1)),
            row.Text(5),
            row.Int(4) != 0,
            row.Blob(6).ToArray(),
            SqlTime.Moment(row.Long(2)),
            row.LongOrNull(3) is { } replaced ? SqlTime.Moment(replaced) : null
        );
}
