namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<IReadOnlyList<StoredSession>> ListSessionsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredSession>>(
            static session =>
                session
                    .Sql("SELECT id, workspace_id, client, hash, mark, created_at, expires_at FROM sessions ORDER BY id")
                    .All(static row => new StoredSession(
                        new(row.Long(0)),
                        new(row.Int(1)),
                        row.Text(2),
                        row.Bytes(3),
                        row.Bytes(4),
                        SqlTime.Moment(row.Long(5)),
                        SqlTime.Moment(row.Long(6))
                    )),
            ct
        );

    public Task SaveSessionAsync(StoredSession signedIn, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
                session
                    .Sql("INSERT INTO sessions(id, workspace_id, created_at, expires_at, client, hash, mark) VALUES (?, ?, ?, ?, ?, ?, ?)")
                    .Set(signedIn.Id.Value)
                    .Set(signedIn.WorkspaceId.Value)
                    .Set(SqlTime.From(signedIn.CreatedAt))
                    .Set(SqlTime.From(signedIn.ExpiresAt))
                    .Set(signedIn.Client)
                    .Set(signedIn.Hash.Span)
                    .Set(signedIn.Mark.Span)
                    .Run(),
            ct
        );

    public Task<bool> DeleteSessionAsync(SessionId signedIn, CancellationToken ct) =>
        WriteAsync(OutageRule.Refuse, session => session.Sql("DELETE FROM sessions WHERE id = ?").Set(signedIn.Value).Run() == 1, ct);
}
