namespace Sendoff.Commands;

/// <summary> Disables .NET diagnostics of this process. With them, every process of the same user, including a step without a sandbox,
/// could read the environment and the memory. </summary>
/// <remarks>
/// The runtime opens them before the program's first line runs, and only the environment variable <c>DOTNET_EnableDiagnostics=0</c>
/// prevents this. So this class deletes the names of the socket and of the debugger's pipes, and then no process can connect.
/// <c>DOTNET_EnableDiagnostics=1</c> keeps them. On Windows they are named pipes, which cannot be deleted. </remarks>
static class RuntimeDiagnostics
{
    const string Variable = "DOTNET_EnableDiagnostics";

    static bool IsWanted => Environment.GetEnvironmentVariable(Variable) == "1";
    static bool IsOff => Environment.GetEnvironmentVariable(Variable) == "0";

    public static void Close()
    {
        if (OperatingSystem.IsWindows() || IsWanted)
            return;
        foreach (string name in (string[])["dotnet-diagnostic", "clr-debug-pipe"])
        foreach (string file in Directory.EnumerateFiles(Path.GetTempPath(), $"{name}-{Environment.ProcessId}-*"))
            TryDelete(file);
    }

    /// <summary>Why diagnostics are enabled, and how to disable them; null if they are disabled.</summary>
    public static string? WhyOpen() =>
        IsWanted
            ? $"{Variable}=1 keeps .NET diagnostics enabled: all processes of this user, including steps without a sandbox, "
                + "can read the server's memory and environment"
        : OperatingSystem.IsWindows() && !IsOff
            ? $".NET diagnostics are enabled for all processes of this user, including steps; start the server with {Variable}=0"
        : null;

    static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            // The file belongs to another user's process, which had this process id before.
        }
    }
}
