using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>A reusable prepared statement, for one thread at a time. Parameters are set in order. It calls SQLite directly, because command
/// and parameter objects cost more than SQLite itself for a small row.</summary>
internal sealed class SqliteStatement : IDisposable
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

    public SqliteStatement Set(long value)
    {
        Check(raw.sqlite3_bind_int64(statement, ++set, value));
        return this;
    }

    public SqliteStatement Set(long? value) => value is { } some ? Set(some) : SetNull();

    public SqliteStatement Set(bool value) => Set(value ? 1 : 0);

    public SqliteStatement Set(string? value)
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

    /// <summary>Empty is stored as null, which needs no byte.</summary>
    public SqliteStatement Set(ReadOnlySpan<byte> value)
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

    /// <summary>Runs the statement and returns the number of changed rows.</summary>
    public int Run()
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

    /// <summary>All rows. <paramref name="read"/> must not use this statement.</summary>
    public List<T> All<T>(Func<SqliteStatement, T> read)
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

    public T? FirstOrDefault<T>(Func<SqliteStatement, T> read)
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

    /// <summary>The first column of the first row; null if there is no row or the value is null.</summary>
    public long? Number() => FirstOrDefault(static row => row.LongOrNull(0));

    public long Long(int column) => raw.sqlite3_column_int64(statement, column);

    public int Int(int column) => raw.sqlite3_column_int(statement, column);

    public long? LongOrNull(int column) => IsNull(column) ? null : Long(column);

    public string Text(int column) => raw.sqlite3_column_text(statement, column).utf8_to_string();

    public string? TextOrNull(int column) => IsNull(column) ? null : Text(column);

    /// <summary>Valid until the next row.</summary>
    public ReadOnlyMemory<byte> Bytes(int column) => IsNull(column) ? default : Blob(column).ToArray();

    public ReadOnlySpan<byte> Blob(int column) => raw.sqlite3_column_blob(statement, column);

    bool IsNull(int column) => raw.sqlite3_column_type(statement, column) == raw.SQLITE_NULL;

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

    public void Dispose() => statement?.Dispose();
}
