namespace Sendoff.Engine.Cluster;

/// <summary>The names of roles in settings, lists and messages.</summary>
public static class RoleNames
{
    static readonly (ServerRoles Role, string Name)[] all =
    [
        (ServerRoles.Ingest, "ingest"),
        (ServerRoles.Run, "run"),
        (ServerRoles.Deliver, "deliver"),
    ];

    public const string Expected = "a comma-separated list of ingest, run and deliver";

    public static IReadOnlyList<string> Of(ServerRoles roles) =>
        [.. all.Where(one => roles.HasFlag(one.Role)).Select(static one => one.Name)];

    /// <summary>Reads a list such as <c>ingest, run</c>. Returns null if it is empty or has an unknown name.</summary>
    public static ServerRoles? Read(string list)
    {
        var roles = ServerRoles.None;
        foreach (string name in list.Split(',', StringSplitOptions.TrimEntries))
        {
            if (all.FirstOrDefault(one => one.Name == name) is not { Name: not null } found)
                return null;
            roles |= found.Role;
        }
        return roles;
    }

    /// <summary>Says which work waits because no server takes it; null if there is none.</summary>
    /// <param name="present">The roles of all servers.</param>
    public static string? WhatWaits(ServerRoles present) =>
        Of(ServerRoles.All & ~present) is { Count: > 0 } missing
            ? $"no server has the role {string.Join(" or ", missing)} (setting Servers:Roles), so this work waits"
            : null;
}
