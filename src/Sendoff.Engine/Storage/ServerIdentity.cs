using System.Reflection;

namespace Sendoff.Engine.Storage;

/// <summary>What a server is known by among others.</summary>
/// <param name="Instance">The data folder, which one process at a time uses.</param>
/// <param name="Name">The name of the machine.</param>
public sealed record ServerIdentity(string Instance, string Name, string Version)
{
    public static string ProgramVersion { get; } =
        typeof(ServerIdentity).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
        ?? "0";
}
