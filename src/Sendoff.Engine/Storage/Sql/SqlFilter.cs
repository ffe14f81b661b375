using System.Text;

namespace Sendoff.Engine.Storage.Sql;

/// <summary>The conditions of a list, with their values in order. Values are always bound, never part of the text.</summary>
internal sealed class SqlFilter
{
    readonly StringBuilder sql = new("id < ? AND id >= ?");
    readonly List<object> values = [long.MaxValue, 0L];

    /// <summary>Ids grow with time, so a time range is a range of ids and needs no index.</summary>
    public SqlFilter Ids(long? before, (long First, long End) span)
    {
        values[0] = Math.Min(before ?? long.MaxValue, span.End);
        values[1] = span.First;
        return this;
    }

    public SqlFilter And(string condition)
    {
        sql.Append(" AND ").Append(condition);
        return this;
    }

    /// <summary>Adds nothing if there is no value.</summary>
    public SqlFilter And(string condition, object? value)
    {
        if (value is null)
            return this;
        values.Add(value);
        return And(condition);
    }

    public SqlFilter And(string condition, object first, object second, params object[] more)
    {
        values.AddRange([first, second, .. more]);
        return And(condition);
    }

    /// <summary>A pattern for LIKE with <c>ESCAPE '\'</c> that matches <paramref name="text"/> literally.</summary>
    public static string Like(string before, string text, string after) =>
        before + text.Replace("\\", "\\\\").Replace("%", "\\%").Replace("_", "\\_") + after;

    public SqlStatement Set(SqlStatement statement)
    {
        foreach (object value in values)
            if (value is long number)
                statement.Set(number);
            else
                statement.Set((string)value);
        return statement;
    }

    public override string ToString() => sql.ToString();
}
