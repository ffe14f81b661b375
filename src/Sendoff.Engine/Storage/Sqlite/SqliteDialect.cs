using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Sqlite;

internal sealed class SqliteDialect : SqlDialect
{
    public static readonly SqliteDialect Instance = new();

    // It keeps the order of the tables.
    public override string Join => "CROSS JOIN";

    public override string Index(string name) => $"INDEXED BY {name}";

    public override string Like => "LIKE";

    public override string Text(string bytes) => $"CAST({bytes} AS TEXT)";

    public override string JsonText(string bytes, string member) => $"json_extract(CAST({bytes} AS TEXT), '$.{member}')";

    public override string Greatest(string first, string second) => $"max({first}, {second})";

    public override string IsIn(string number, string list) => $"{number} IN (SELECT value FROM json_each('[' || {list} || ']'))";

    public override string Contains(string bytes, string sought) => $"instr({bytes}, {sought}) > 0";

    public override string UsageKey => "(workflow_id, hour)";

    public override string Own => "";

    public override (string Column, string Value) Owner => ("", "");

    public override string Take => "";
}
