namespace Sendoff.Engine.Workers;

/// <summary>Limits of the system for a process and all that it starts, which <c>prlimit</c> of util-linux sets.</summary>
internal static class SystemLimits
{
    const string Prlimit = "/usr/bin/prlimit"; // the sandbox sees it at the same place
    const int OpenFiles = 4096;

    /// <summary>Processes and threads at once, in a sandbox where no children are allowed, and in one where they are.</summary>
    public const int Processes = 64,
        ProcessesWithChildren = 512;

    /// <summary>Null where there is none.</summary>
    public static string? Command => File.Exists(Prlimit) ? Prlimit : null;

    /// <param name="fileBytes">Of the largest file that is written.</param>
    /// <param name="processes">They are counted by user, in a sandbox by user and sandbox; threads count too. Null sets no limit.</param>
    /// <param name="memoryBytes">Of one process. Null sets no limit.</param>
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
