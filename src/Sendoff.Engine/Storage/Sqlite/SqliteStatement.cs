using System.Text;
using Microsoft.Data.Sqlite;
using Sendoff.Engine.Storage.Sql;
using SQLitePCL;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>A prepared statement. It calls SQLite directly, because command and parameter objects cost more than SQLite itself for a small
/// row.</summary>
internal sealed class SqliteStatement : SqlStatement
{
    const int Persistent = 1;

    readonly sqlite3 database;
    readonly sqlite3_stmt statement;
    byte[] text = new byte[256];
    int set;

    public SqliteStatement(sqlite3 database, string sql)
    {
        this.database = database;
        Check(raw.sqlite3_prepare_v3(database, sql, Persistent, out statement));
    }

    public override SqlStatement Set(long value)
    {
        Check(raw.sqlite3_bind_int64(statement, ++set, value));
        return this;
    }

    public override SqlStatement Set(long? value) => value is { } some ? Set(some) : SetNull();

    public override SqlStatement Set(string? value)
    {
        if (value is null)
            return SetNull();
        int most = Encoding.UTF8.GetMaxByteCount(value.Length);
        if (text.Length < most)
            text = new byte[most];
        int length = Encoding.UTF8.GetBytes(value, text);
        Check(raw.sqlite3_bind_text(statement, ++set, text.AsSpan(0, length)));
        return this;
    }

    public override SqlStatement Set(ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty)
            return SetNull();
        Check(raw.sqlite3_bind_blob(statement, ++set, value));
        return this;
    }

    SqliteStatement SetNull()
    {
        Check(raw.sqlite3_bind_null(statement, ++set));
        return this;
    }

    public override int Run()
    {
        try
        {
            while (Step()) { }
            return raw.sqlite3_changes(database);
        }
        finally
        {
            Reset();
        }
    }

    public override void Post() => Run();

    public override List<T> All<T>(Func<SqlStatement, T> read)
    {
        var rows = new List<T>();
        try
        {
            while (Step())
                rows.Add(read(this));
            return rows;
        }
        finally
        {
            Reset();
        }
    }

    public override T? FirstOrDefault<T>(Func<SqlStatement, T> read)
        where T : default
    {
        try
        {
            return Step() ? read(this) : default;
        }
        finally
        {
            Reset();
        }
    }

    public override long Long(int column) => raw.sqlite3_column_int64(statement, column);

    public override int Int(int column) => raw.sqlite3_column_int(statement, column);

    public override string Text(int column) => raw.sqlite3_column_text(statement, column).utf8_to_string();

    public override ReadOnlySpan<byte> Blob(int column) => raw.sqlite3_column_blob(statement, column);

    protected override bool IsNull(int column) => raw.sqlite3_column_type(statement, column) == raw.SQLITE_NULL;

    bool Step()
    {
        int code = raw.sqlite3_step(statement);
        if (code == raw.SQLITE_ROW)
            return true;
        if (code != raw.SQLITE_DONE)
            Throw(code);
        return false;
    }

    // Reset returns the code of a failed step again; it was already thrown.
    void Reset()
    {
        set = 0;
        raw.sqlite3_reset(statement);
    }

    void Check(int code)
    {
        if (code != raw.SQLITE_OK)
            Throw(code);
    }

    void Throw(int code)
    {
        set = 0;
        string message = raw.sqlite3_errmsg(database).utf8_to_string();
        throw new SqliteException($"SQLite error {code}: {message}", code, raw.sqlite3_extended_errcode(database));
    }

    public override void Dispose() => statement?.Dispose();
}
