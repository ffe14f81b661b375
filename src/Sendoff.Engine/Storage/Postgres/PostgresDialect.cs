using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

internal sealed class PostgresDialect : SqlDialect
{
    public static readonly PostgresDialect Instance = new();

    public override string Join => "JOIN";

    // The planner has statistics.
    public override string Index(string name) => "";

    public override string Like => "ILIKE";

    public override string Text(string bytes) => $"sendoff_text({bytes})";

    public override string JsonText(string bytes, string member) => $"(convert_from({bytes}, 'UTF8')::json ->> '{member}')";

    public override string Greatest(string first, string second) => $"greatest({first}, {second})";

    public override string IsIn(string number, string list) => $"{number} = ANY(string_to_array({list}, ',')::bigint[])";

    public override string Contains(string bytes, string sought) => $"position({sought} IN {bytes}) > 0";

    public override string UsageKey => "(workflow_id, hour, slot)";

    public override string Own => " AND owner = sendoff_epoch()";

    public override string Take => ", owner = sendoff_epoch()";
}
