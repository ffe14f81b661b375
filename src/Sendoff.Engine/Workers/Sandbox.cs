using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;

namespace Sendoff.Engine.Workers;

/// <summary>Isolates steps from the machine: with bubblewrap if it works, Node.js's permission model, and limits of the system.</summary>
/// <remarks>A worker starts before its program is known. So it gets a folder at its start (with bubblewrap at <c>/workflow</c>), and its
/// program's files are copied there when it is assigned (docs/decisions/0015).</remarks>
public sealed class Sandbox : IDisposable
{
    /// <summary>A part of util-linux.</summary>
    const string SystemSetsid = "/usr/bin/setsid";

    /// <summary>The first versions of Node.js with a stable permission model, and with an option to disable the inspector signal.</summary>
    static readonly Version Permissions = new(22, 13),
        NoSignal = new(22, 14),
        NetPermission = new(25, 0);
    const string OwnRooms = "sendoff-workers-";

    /// <summary>The commands, without their folders, that this process has tested successfully.</summary>
    static readonly ConcurrentDictionary<string, bool> working = new();
    static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(20);

    readonly SandboxOptions options;
    readonly NodeBinary node;
    readonly string harness,
        rooms;
    readonly string? bwrap,
        prlimit;
    readonly List<string> common = [];
    readonly bool hasSetsid = File.Exists(SystemSetsid);
    int lastRoom;

    Sandbox(SandboxOptions options, NodeBinary node, string harness, string rooms, string? bwrap, string? prlimit)
    {
        (this.options, this.node, this.harness, this.rooms, this.bwrap, this.prlimit) = (options, node, harness, rooms, bwrap, prlimit);
        if (bwrap is not null)
            common = Bubblewrap.Common(options, node.Path, Path.GetDirectoryName(harness)!, rooms);
    }

    public bool HasBubblewrap => bwrap is not null;
    public bool HasPermissionModel => node.Version >= Permissions;
    public bool HasLimits => prlimit is not null;

    /// <summary>The reason why bubblewrap is not used, and how to enable it; null if it is used or not requested.</summary>
    public string? Missing { get; private init; }

    /// <summary>No process survives the worker's process: bubblewrap ends all of them, and without permission there are no child
    /// processes.</summary>
    internal bool EndsWhole => HasBubblewrap || (HasPermissionModel && !options.AllowChildProcesses);

    /// <summary>Bubblewrap's processes are a process group, so that one signal reaches all. During their start they are not tied in another
    /// way.</summary>
    internal bool IsGroup => HasBubblewrap && hasSetsid;

    public bool IsWhole => HasBubblewrap && HasPermissionModel && HasLimits;

    /// <summary>The active isolation, in one line.</summary>
    public string State =>
        string.Join(
            "; ",
            (
                (string?[])
                    [
                        HasBubblewrap ? "sandbox bubblewrap"
                        : Missing is { } why ? $"no sandbox ({why})"
                        : "no sandbox (Workers:Sandbox is none; auto uses bubblewrap)",
                        HasPermissionModel ? "permission model on" : $"no permission model (Node.js {Permissions} or later has it)",
                        HasLimits ? "limits on" : "no limits of files (requires prlimit of util-linux)",
                        options.HasNetwork ? "network of the machine" : "no network",
                        options.AllowChildProcesses ? "child processes allowed" : "child processes refused",
                        ReachableRooms is { } shared ? $"the data directory is in {shared}, where steps can read and write: move it" : null,
                    ]
            ).OfType<string>()
        );

    string? ReachableRooms =>
        HasBubblewrap || options.Rooms is null
            ? null
            : Temporary().FirstOrDefault(folder => rooms.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal));

    /// <summary>Determines the available isolation by testing it.</summary>
    /// <exception cref="WorkerUnavailableException">The isolation that the settings require is not available.</exception>
    public static async Task<Sandbox> PrepareAsync(SandboxOptions options, NodeBinary node, string harness, CancellationToken ct)
    {
        string rooms = OpenRooms(options);
        try
        {
            return await TryAsync(
                options with
                {
                    Readable = [.. options.Readable.Select(Path.GetFullPath)],
                    Packages = options.Packages is { } packages ? Path.GetFullPath(packages) : null,
                },
                node,
                harness,
                rooms,
                ct
            );
        }
        catch
        {
            Remove(rooms);
            throw;
        }
    }

    static async Task<Sandbox> TryAsync(SandboxOptions options, NodeBinary node, string harness, string rooms, CancellationToken ct)
    {
        string? missing = null;
        if (options.Mode != SandboxMode.None)
        {
            missing = WhyNot(options, out string? bwrap);
            foreach (string? limit in (string?[])[SystemLimits.Command, null])
            {
                if (bwrap is null)
                    break;
                var sandbox = new Sandbox(options, node, harness, rooms, bwrap, limit);
                if (await sandbox.ProbeAsync(ct) is not { } fault)
                    return sandbox;
                missing = $"bwrap does not work here: {fault}; see docs/operating.md, Isolation";
            }
        }
        if (missing is not null && options.Mode == SandboxMode.Bubblewrap)
            throw new WorkerUnavailableException($"Workers:Sandbox is bubblewrap, and {missing}");
        if (!options.HasNetwork)
            throw new WorkerUnavailableException(
                $"Workers:Network is none, which requires bubblewrap: {missing ?? "Workers:Sandbox is none"}"
            );
        var limited = new Sandbox(options, node, harness, rooms, null, SystemLimits.Command) { Missing = missing };
        return limited.prlimit is null || await limited.ProbeAsync(ct) is null
            ? limited
            : new(options, node, harness, rooms, null, null) { Missing = missing };
    }

    /// <summary>The reason why bubblewrap is not available; null if it is.</summary>
    internal static string? WhyNot(SandboxOptions options, out string? bwrap)
    {
        bwrap = OperatingSystem.IsLinux()
            ? (options.SearchPath ?? Environment.GetEnvironmentVariable("PATH") ?? "")
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                .Select(folder => Path.Combine(folder, "bwrap"))
                .FirstOrDefault(File.Exists)
            : null;
        if (bwrap is not null)
            return null;
        return OperatingSystem.IsLinux() ? "bwrap is not installed: apt-get install bubblewrap" : "bubblewrap is for Linux only";
    }

    static string OpenRooms(SandboxOptions options)
    {
        if (options.Rooms is not { } given)
        {
            Sweep();
            string own = Directory.CreateTempSubdirectory(OwnRooms).FullName;
            Bubblewrap.WriteUsers(own);
            return own;
        }
        string rooms = Path.GetFullPath(given);
        if (Directory.Exists(rooms))
            Directory.Delete(rooms, recursive: true); // left over from a killed server
        Directory.CreateDirectory(rooms);
        Bubblewrap.WriteUsers(rooms);
        return rooms;
    }

    // Folders left over from killed commands. No command takes a day.
    static void Sweep()
    {
        foreach (string left in Directory.EnumerateDirectories(Path.GetTempPath(), OwnRooms + "*"))
            if (TimeProvider.System.GetUtcNow() - Directory.GetLastWriteTimeUtc(left) > TimeSpan.FromDays(1))
                Remove(left);
    }

    /// <summary>Removes the workers' folders.</summary>
    public void Dispose() => Remove(rooms);

    static void Remove(string rooms)
    {
        try
        {
            Directory.Delete(rooms, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next start removes them.
        }
    }

    internal WorkerRoom NewRoom()
    {
        string folder = Path.Combine(rooms, $"{Interlocked.Increment(ref lastRoom)}");
        var room = new WorkerRoom(folder, HasBubblewrap ? Bubblewrap.Program : folder, options.Readable, options.Packages);
        room.Create();
        return room;
    }

    /// <summary>Workers ignore these signals until the server ends them, so that a shutdown can wait for their runs: Ctrl+C reaches every
    /// process of the terminal, and systemd signals every process of a service. The harness ignores them too, because Node.js resets
    /// inherited handlers. A shell adds environment variables, which steps must not see.</summary>
    static readonly string[] KeptFromSignals = OperatingSystem.IsWindows()
        ? []
        : ["/bin/sh", "-c", "trap '' HUP INT TERM; exec /usr/bin/env -i \"$@\"", "sendoff-worker"];

    /// <summary>The command that starts a worker in its folder.</summary>
    /// <param name="flags">For Node.js.</param>
    /// <param name="socket">The socket to connect to; null for a test of the start.</param>
    internal ProcessStartInfo Command(WorkerRoom room, string? socket, IEnumerable<string> flags)
    {
        List<string> all = [.. KeptFromSignals];
        if (options.Authorities is { } file && bwrap is null && !OperatingSystem.IsWindows())
            all.Add($"{NodeRuntime.AuthoritiesVariable}={file}");
        if (bwrap is not null)
            all.AddRange([
                .. hasSetsid ? (string[])[SystemSetsid] : [],
                bwrap,
                .. common,
                .. Bubblewrap.Own(room.Folder, socket ?? room.Folder),
                .. Bubblewrap.Last,
            ]);
        if (prlimit is not null)
            all.AddRange([prlimit, .. SystemLimits.Arguments(options.TmpBytes, Processes, null)]);
        all.Add(bwrap is null ? node.Path : Bubblewrap.Node);
        all.AddRange([.. flags, .. PermissionFlags(room)]);
        if (socket is null)
            all.AddRange(["-e", "0"]);
        else
        {
            all.AddRange(bwrap is null ? [harness, socket] : [$"{Bubblewrap.Harness}/{Path.GetFileName(harness)}", Bubblewrap.Socket]);
            if (!options.AllowChildProcesses)
                all.Add("alone");
        }
        var start = new ProcessStartInfo(all[0], all.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            CreateNoWindow = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        // E4: no variables of the server, because the environment of the sandbox's first process is visible as /proc/1/environ. Windows
        // needs its system folder to open sockets.
        start.Environment.Clear();
        if (OperatingSystem.IsWindows() && Environment.GetEnvironmentVariable("SystemRoot") is { } system)
            start.Environment["SystemRoot"] = system;
        if (OperatingSystem.IsWindows() && options.Authorities is { } own)
            start.Environment[NodeRuntime.AuthoritiesVariable] = own;
        return start;
    }

    // Outside a sandbox, the limit would apply to all processes of the user.
    int? Processes =>
        bwrap is null ? null
        : options.AllowChildProcesses ? SystemLimits.ProcessesWithChildren
        : SystemLimits.Processes;

    IEnumerable<string> PermissionFlags(WorkerRoom room)
    {
        if (node.Version >= NoSignal && node.Version.Major != 23)
            yield return "--disable-sigusr1";
        if (!HasPermissionModel)
            yield break;
        yield return "--permission";
        // The permission model does not check which files node:sqlite opens.
        if (bwrap is null)
            yield return "--no-experimental-sqlite";
        // The sandbox contains only files that steps may read.
        if (bwrap is not null)
            yield return "--allow-fs-read=*";
        else
            foreach (string folder in (string[])[Path.GetDirectoryName(harness)!, room.Folder, .. options.Readable, .. Temporary()])
                yield return "--allow-fs-read=" + folder;
        foreach (string folder in bwrap is null ? Temporary() : ["/tmp"])
            yield return "--allow-fs-write=" + folder;
        if (options.AllowChildProcesses)
        {
            yield return "--allow-child-process";
            yield return "--allow-worker";
        }
        if (node.Version >= NetPermission)
            yield return "--allow-net";
    }

    static string[] Temporary()
    {
        string own = Path.GetTempPath().TrimEnd(Path.DirectorySeparatorChar);
        return OperatingSystem.IsWindows() || own == "/tmp" ? [own] : [own, "/tmp"];
    }

    /// <summary>Tests the start of a worker, once for all pools of this process. Returns the error, or null.</summary>
    async Task<string?> ProbeAsync(CancellationToken ct)
    {
        using var room = NewRoom();
        var command = Command(room, null, []);
        string tried = string.Join('\n', [command.FileName, .. command.ArgumentList]).Replace(rooms, "", StringComparison.Ordinal);
        if (working.ContainsKey(tried))
            return null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(ProbeLimit);
        try
        {
            using var process = await WorkerLauncher.StartAsync(command);
            process.StandardInput.Close();
            using var killed = limit.Token.Register(() => WorkerProcess.KillAll(process));
            var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
            string errors = await process.StandardError.ReadToEndAsync(CancellationToken.None);
            await output;
            await process.WaitForExitAsync(CancellationToken.None);
            ct.ThrowIfCancellationRequested();
            if (process.ExitCode == 0)
            {
                working[tried] = true;
                return null;
            }
            return errors.Split('\n')[0].Trim() is { Length: > 0 } line ? line : $"it ends with code {process.ExitCode}";
        }
        catch (Win32Exception e)
        {
            return e.Message;
        }
    }
}
