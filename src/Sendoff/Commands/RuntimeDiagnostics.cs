namespace Sendoff.Commands;

/// <summary>
/// Closes .NET's diagnostics of this process: through them every process of the same user, and so a step that has no sandbox, reads the
/// environment and the memory.
/// </summary>
/// <remarks>
/// The runtime opens them before the first line of the program runs, and only the environment variable <c>DOTNET_EnableDiagnostics=0</c>
/// keeps it from that. So the socket and the debugger's pipes lose their names, without which nobody can connect.
/// <c>DOTNET_EnableDiagnostics=1</c> keeps them. On Windows they are named pipes, and stay.
/// </remarks>
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

    /// <summary>Why they are open, and how to close them; null when they are closed.</summary>
    public static string? WhyOpen() =>
        IsWanted
            ? $"{Variable}=1 keeps .NET's diagnostics open: all processes of this user, and steps without a sandbox, "
                + "can read the server's memory and environment"
        : OperatingSystem.IsWindows() && !IsOff
            ? $".NET's diagnostics are open to all processes of this user, including steps: start the server with {Variable}=0"
        : null;

    static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            // Left by another user's process that had this number.
        }
    }
}
