using Microsoft.Data.Sqlite;
using Sendoff.Engine.Storage.Sqlite;

namespace Sendoff.Tests.Storage;

/// <summary>How SQLite carries out the store's statements: none walks through a table that grows with the history.</summary>
static class SqlitePlans
{
    /// <summary>Tables that stay small, under the names that statements give them: versions grow with deploys, segments are those of one
    /// run, found, ranked and totals have no more rows than the statement's limit, json_each has the values that the caller gave, states of
    /// alerts are one an alert and workflow.</summary>
    static readonly HashSet<string> small =
    [
        "workflows",
        "w",
        "alerts",
        "alert_states",
        "triggers",
        "t",
        "tokens",
        "secrets",
        "accounts",
        "deletions",
        "recoveries",
        "stores",
        "s",
        "CONSTANT",
        "found",
        "ranked",
        "totals",
        "versions",
        "segments",
        "json_each",
        "(subquery-",
    ];

    /// <summary>Indexes that hold unfinished work only, however long the history is: what is pending, on the wire, or suspended.</summary>
    static readonly string[] unfinished = ["deliveries_pending", "deliveries_sending", "suspensions_due"];

    public static async Task AssertGoodAsync(SqliteStore store, string database)
    {
        var bad = Faults(await store.ListStatementsAsync(default), database);
        Assert.True(bad.Count == 0, string.Join("\n\n", bad));
    }

    /// <summary>Each statement that scans a table which grows, with its plan.</summary>
    public static List<string> Faults(IEnumerable<string> statements, string database)
    {
        using var connection = new SqliteConnection($"Data Source={database};Pooling=False");
        connection.Open();
        return
        [
            .. statements
                .Where(static sql =>
                    !sql.StartsWith("PRAGMA", StringComparison.Ordinal)
                    && sql is not ("BEGIN" or "BEGIN IMMEDIATE" or "COMMIT" or "ROLLBACK")
                )
                .Select(sql => (Sql: sql, Plan: Explain(connection, sql)))
                .Where(one => one.Plan.Any(IsBad))
                .Select(static one => $"{one.Sql}\n  {string.Join("\n  ", one.Plan)}"),
        ];
    }

    static bool IsBad(string step)
    {
        string[] words = step.Split(' ');
        return words[0] == "SCAN"
            && !small.Contains(words[1])
            && !small.Contains(words[1].TrimEnd(")0123456789".ToCharArray()))
            && !unfinished.Any(index => step.EndsWith("INDEX " + index, StringComparison.Ordinal));
    }

    static List<string> Explain(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "EXPLAIN QUERY PLAN " + sql;
        // Their values do not change a plan: there are no statistics.
        for (int i = 0; i < 40; i++)
            command.Parameters.AddWithValue($"?{i + 1}", DBNull.Value);
        using var reader = command.ExecuteReader();
        var steps = new List<string>();
        while (reader.Read())
            steps.Add(reader.GetString(3));
        return steps;
    }
}
