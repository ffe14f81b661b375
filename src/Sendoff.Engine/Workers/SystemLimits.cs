namespace Sendoff.Engine.Workers;

/// <summary>Limits of the system for a process and its children, set with <c>prlimit</c> of util-linux.</summary>
internal static class SystemLimits
{
    const string Prlimit = "/usr/bin/prlimit"; // the sandbox has it at the same path
    const int OpenFiles = 4096;

    /// <summary>Processes and threads in a sandbox without and with child processes.</summary>
    public const int Processes = 64,
        ProcessesWithChildren = 512;

    /// <summary>Null if there is none.</summary>
    public static string? Command => File.Exists(Prlimit) ? Prlimit : null;

    /// <param name="fileBytes">Maximum size of a written file.</param>
    /// <param name="processes">Counted per user, in a sandbox per user and sandbox, including threads. Null for no limit.</param>
    /// <param name="memoryBytes">Memory of one process. Null for no limit.</param>
    public static IEnumerable<string> Arguments(long fileBytes, int? processes, long? memoryBytes)
    {
        yield return "--core=0";
        yield return $"--nofile={OpenFiles}";
        yield return $"--fsize={fileBytes}";
        if (processes is not null)
            yield return $"--nproc={processes}";
        if (memoryBytes is not null)
            yield return $"--data={memoryBytes}";
        yield return "--";
    }
}
