using System.Reflection;

namespace Sendoff.Engine.Storage;

/// <summary>The identity of a server in a cluster.</summary>
/// <param name="Instance">The data folder, which only one process uses at a time.</param>
/// <param name="Name">The name of the machine.</param>
public sealed record ServerIdentity(string Instance, string Name, string Version)
{
    public ServerRoles Roles { get; init; } = ServerRoles.All;

    /// <summary>The published addresses of its deliveries (D3); empty if the system chooses.</summary>
    public IReadOnlyList<string> Egress { get; init; } = [];

    public static string ProgramVersion { get; } =
        typeof(ServerIdentity).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
        ?? "0";
}
