using System.Text;
using System.Text.RegularExpressions;
using Npgsql;
using NpgsqlTypes;
using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <summary>A statement with positional parameters. PostgreSQL prepares it when it is used again.</summary>
internal sealed partial class PostgresStatement(PostgresSession session, string sql) : SqlStatement
{
    readonly string text = Numbered(sql);
    NpgsqlBatchCommand command = new();
    NpgsqlDataReader? row;
    byte[]? blob;

    public override SqlStatement Set(long value)
    {
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Bigint });
        return this;
    }

    public override SqlStatement Set(long? value) => value is { } some ? Set(some) : SetNull(NpgsqlDbType.Bigint);

    /// <summary>PostgreSQL cannot store the character 0 in text; it is replaced by its symbol.</summary>
    public override SqlStatement Set(string? value)
    {
        if (value is null)
            return SetNull(NpgsqlDbType.Text);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = Storable(value), NpgsqlDbType = NpgsqlDbType.Text });
        return this;
    }

    public override SqlStatement Set(ReadOnlySpan<byte> value)
    {
        if (value.IsEmpty)
            return SetNull(NpgsqlDbType.Bytea);
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = value.ToArray(), NpgsqlDbType = NpgsqlDbType.Bytea });
        return this;
    }

    PostgresStatement SetNull(NpgsqlDbType type)
    {
        command.Parameters.Add(new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = type });
        return this;
    }

    public override int Run() => session.Run(Take());

    public override void Post() => session.Post(Take());

    public override List<T> All<T>(Func<SqlStatement, T> read)
    {
        using var rows = session.Flush(Take());
        row = rows;
        var all = new List<T>();
        while (rows.Read())
            all.Add(read(this));
        return all;
    }

    public override T? FirstOrDefault<T>(Func<SqlStatement, T> read)
        where T : default
    {
        using var rows = session.Flush(Take());
        row = rows;
        return rows.Read() ? read(this) : default;
    }

    NpgsqlBatchCommand Take()
    {
        var taken = command;
        taken.CommandText = text;
        command = new();
        return taken;
    }

    // A sum is a numeric, and a condition a boolean.
    public override long Long(int column)
    {
        if (IsNull(column))
            return 0;
        var type = row!.GetFieldType(column);
        if (type == typeof(bool))
            return row.GetBoolean(column) ? 1 : 0;
        return type == typeof(decimal) ? (long)row.GetDecimal(column) : row.GetInt64(column);
    }

    public override int Int(int column) => (int)Long(column);

    public override string Text(int column) => IsNull(column) ? null! : row!.GetString(column);

    public override ReadOnlySpan<byte> Blob(int column) => blob = IsNull(column) ? [] : row!.GetFieldValue<byte[]>(column);

    protected override bool IsNull(int column) => row!.IsDBNull(column);

    public override void Dispose() { }

    // UTF-8 cannot represent half of a surrogate pair; it becomes the replacement character, as in SQLite.
    internal static string Storable(string value)
    {
        if (value.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            value = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(value));
        return value.Replace('\0', '\u2400');
    }

    static string Numbered(string sql)
    {
        int next = 0;
        return Parameter().Replace(sql, found => "$" + (found.Groups[1].Length > 0 ? found.Groups[1].Value : $"{++next}"));
    }

    [GeneratedRegex(@"\?(\d*)")]
    private static partial Regex Parameter();
}
