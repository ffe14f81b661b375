namespace Sendoff.Engine.Storage.Sql;

internal abstract partial class SqlStore
{
    public Task<IReadOnlyList<StoredAccount>> ListAccountsAsync(CancellationToken ct) =>
        readers.ReadAsync<IReadOnlyList<StoredAccount>>(
            static session =>
                session
                    .Sql("SELECT id, workspace_id, changed_at, account, content FROM accounts ORDER BY id")
                    .All(static row => new StoredAccount(
                        new(row.Text(3)),
                        row.Long(0),
                        new(row.Int(1)),
                        SqlTime.Moment(row.Long(2)),
                        row.Blob(4).ToArray()
                    )),
            ct
        );

    public Task SaveAccountAsync(StoredAccount account, IReadOnlyList<StoredSecret> replaced, bool untilDurable, CancellationToken ct) =>
        WriteAsync(
            untilDurable ? OutageRule.Keep : OutageRule.Refuse,
            session =>
            {
                Insert(session, replaced);
                return session
                    .Sql(
                        """
                        INSERT INTO accounts(id, workspace_id, changed_at, account, content) VALUES (?, ?, ?, ?, ?)
                        ON CONFLICT(account) DO UPDATE SET id = excluded.id, changed_at = excluded.changed_at, content = excluded.content
                        """
                    )
                    .Set(account.Row)
                    .Set(account.WorkspaceId.Value)
                    .Set(SqlTime.From(account.ChangedAt))
                    .Set(account.Id.Value)
                    .Set(account.Sealed.Span)
                    .Run();
            },
            ct
        );

    public Task<bool> DeleteAccountAsync(AccountId account, IReadOnlyList<StoredSecret> replaced, CancellationToken ct) =>
        WriteAsync(
            OutageRule.Refuse,
            session =>
            {
                Insert(session, replaced);
                return session.Sql("DELETE FROM accounts WHERE account = ?").Set(account.Value).Run() == 1;
            },
            ct
        );

    // Stored as rows of replaced secrets, so that they are read and pruned together.
    static void Insert(SqlSession session, IReadOnlyList<StoredSecret> replaced)
    {
        foreach (var secret in replaced)
            session
                .Sql(
                    """
                    INSERT INTO secrets(id, workspace_id, changed_at, replaced_at, is_secret, name, value) VALUES (?, ?, ?, ?, 1, ?, ?)
                    ON CONFLICT DO NOTHING
                    """
                )
                .Set(secret.Id)
                .Set(secret.WorkspaceId.Value)
                .Set(SqlTime.From(secret.ChangedAt))
                .Set(SqlTime.From(secret.ReplacedAt ?? secret.ChangedAt))
                .Set(secret.Name)
                .Set(secret.Sealed.Span)
                .Run();
    }
}
