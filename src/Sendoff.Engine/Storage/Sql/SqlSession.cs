namespace Sendoff.Engine.Storage.Sql;

/// <summary>A connection with its statements, for one thread at a time.</summary>
internal abstract class SqlSession(SqlDialect dialect) : IDisposable
{
    readonly Dictionary<string, SqlStatement> statements = [];

    public SqlDialect Dialect => dialect;

    /// <summary>The cached statement, prepared at its first use. Parameters are written as <c>?</c>, or <c>?1</c> if one is used
    /// twice.</summary>
    public SqlStatement Sql(string sql)
    {
        if (!statements.TryGetValue(sql, out var statement))
            statements[sql] = statement = Prepare(sql);
        return statement;
    }

    protected abstract SqlStatement Prepare(string sql);

    /// <summary>The statements that were used.</summary>
    public IEnumerable<string> Statements => statements.Keys;

    public long Number(string sql) => Sql(sql).Number() ?? 0;

    /// <summary>Begins a transaction that writes.</summary>
    public abstract void Begin();

    /// <summary>Begins a transaction that reads one state of the database.</summary>
    public abstract void BeginRead();

    public abstract void Commit();

    /// <summary>Ends the transaction without changes, if the database has not already done so.</summary>
    public abstract void Rollback();

    /// <summary>Until the end of the transaction, no other server's transaction can pass this call with the same key.</summary>
    public virtual void Serialize(long key) { }

    protected void Forget()
    {
        foreach (var statement in statements.Values)
            statement.Dispose();
        statements.Clear();
    }

    public abstract void Dispose();
}

/// <summary>A reusable statement, for one thread at a time. Parameters are set in order.</summary>
internal abstract class SqlStatement : IDisposable
{
    public abstract SqlStatement Set(long value);

    public abstract SqlStatement Set(long? value);

    public SqlStatement Set(bool value) => Set(value ? 1 : 0);

    public abstract SqlStatement Set(string? value);

    /// <summary>Empty bytes are stored as null, which needs no space.</summary>
    public abstract SqlStatement Set(ReadOnlySpan<byte> value);

    /// <summary>Runs the statement and returns the number of changed rows.</summary>
    public abstract int Run();

    /// <summary>Runs the statement together with the next statement that has a result, or earlier. Its error fails the
    /// transaction.</summary>
    public abstract void Post();

    /// <summary>All rows. <paramref name="read"/> must not use this statement.</summary>
    public abstract List<T> All<T>(Func<SqlStatement, T> read);

    public abstract T? FirstOrDefault<T>(Func<SqlStatement, T> read);

    /// <summary>The first column of the first row; null if there is no row or the value is null.</summary>
    public long? Number() => FirstOrDefault(static row => row.LongOrNull(0));

    public abstract long Long(int column);

    public abstract int Int(int column);

    public long? LongOrNull(int column) => IsNull(column) ? null : Long(column);

    public abstract string Text(int column);

    public string? TextOrNull(int column) => IsNull(column) ? null : Text(column);

    public ReadOnlyMemory<byte> Bytes(int column) => IsNull(column) ? default : Blob(column).ToArray();

    /// <summary>Valid until the next row. Empty if the value is null.</summary>
    public abstract ReadOnlySpan<byte> Blob(int column);

    protected abstract bool IsNull(int column);

    public abstract void Dispose();
}

/// <summary>The differences between the databases.</summary>
internal abstract class SqlDialect
{
    /// <summary>Joins a second table with <c>ON</c>, in this order if the database supports that.</summary>
    public abstract string Join { get; }

    /// <summary>Requires an index if the database would not choose it.</summary>
    public abstract string Index(string name);

    /// <summary>Compares text with a pattern. ASCII letters match in any case.</summary>
    public abstract string Like { get; }

    /// <summary>UTF-8 bytes as text. Invalid bytes do not fail.</summary>
    public abstract string Text(string bytes);

    /// <summary>A text of a JSON object that is stored as UTF-8.</summary>
    public abstract string JsonText(string bytes, string member);

    public abstract string Greatest(string first, string second);

    /// <summary>Whether a number is one of those in a text such as <c>1,2,3</c>.</summary>
    public abstract string IsIn(string number, string list);

    /// <summary>Whether bytes occur in others.</summary>
    public abstract string Contains(string bytes, string sought);

    /// <summary>The key of a row of usage.</summary>
    public abstract string UsageKey { get; }

    /// <summary>Restricts deliveries to those of this server, with a leading <c>AND</c>; empty for a single server.</summary>
    public abstract string Own { get; }

    /// <summary>The owner of a new delivery, as a further column with a leading comma; empty if all are this server's.</summary>
    public abstract (string Column, string Value) Owner { get; }

    /// <summary>Makes a delivery this server's, or nobody's if it makes none, as a further assignment with a leading comma; empty if all
    /// are.</summary>
    public abstract string Take { get; }
}
