using Microsoft.Data.Sqlite;
using Sendoff.Engine.Storage.Sql;
using SQLitePCL;

namespace Sendoff.Engine.Storage.Sqlite;

internal sealed class SqliteSession : SqlSession
{
    SqliteSession(SqliteConnection connection)
        : base(SqliteDialect.Instance) => Connection = connection;

    public SqliteConnection Connection { get; }

    public static SqliteSession Open(string path, SqliteOpenMode mode, params ReadOnlySpan<string> pragmas)
    {
        var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder
            {
                DataSource = path,
                Mode = mode,
                Pooling = false,
            }.ConnectionString
        );
        try
        {
            connection.Open();
            var session = new SqliteSession(connection);
            foreach (string pragma in pragmas)
                session.Execute("PRAGMA " + pragma);
            return session;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    protected override SqlStatement Prepare(string sql) => new SqliteStatement(Connection.Handle!, sql);

    /// <summary>Runs a statement without caching it.</summary>
    public void Execute(string sql)
    {
        using var statement = new SqliteStatement(Connection.Handle!, sql);
        statement.Run();
    }

    public override void Begin() => Sql("BEGIN IMMEDIATE").Run();

    public override void BeginRead() => Sql("BEGIN").Run();

    public override void Commit() => Sql("COMMIT").Run();

    /// <summary>After errors such as a full disk, SQLite has already rolled back.</summary>
    public override void Rollback()
    {
        if (raw.sqlite3_get_autocommit(Connection.Handle!) == 0)
            Sql("ROLLBACK").Run();
    }

    public override void Dispose()
    {
        Forget();
        Connection.Dispose();
    }
}
