using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Postgres;

/// <param name="roles">Of this server. New work that it does not take belongs to nobody.</param>
internal sealed class PostgresDialect(ServerRoles roles) : SqlDialect
{
    public ServerRoles Roles => roles;

    public override string Join => "JOIN";

    // PostgreSQL's planner has statistics.
    public override string Index(string name) => "";

    public override string Like => "ILIKE";

    public override string Text(string bytes) => $"sendoff_text({bytes})";

    public override string JsonText(string bytes, string member) => $"(convert_from({bytes}, 'UTF8')::json ->> '{member}')";

    public override string Greatest(string first, string second) => $"greatest({first}, {second})";

    public override string IsIn(string number, string list) => $"{number} = ANY(string_to_array({list}, ',')::bigint[])";

    public override string Contains(string bytes, string sought) => $"position({sought} IN {bytes}) > 0";

    public override string UsageKey => "(workflow_id, hour, slot)";

    public override string Own => " AND owner = sendoff_epoch()";

    public override (string Column, string Value) Owner { get; } =
        (", owner", roles.HasFlag(ServerRoles.Deliver) ? ", sendoff_epoch()" : ", 0");

    public override string Take { get; } = roles.HasFlag(ServerRoles.Deliver) ? ", owner = sendoff_epoch()" : ", owner = 0";
}
