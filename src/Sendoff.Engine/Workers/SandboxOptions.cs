namespace Sendoff.Engine.Workers;

public enum SandboxMode
{
    /// <summary>Bubblewrap if it works; otherwise no sandbox, with a warning in the log.</summary>
    Auto,

    /// <summary>Requires bubblewrap; otherwise workers do not start.</summary>
    Bubblewrap,

    /// <summary>Only Node.js's permission model.</summary>
    None,
}

/// <summary>Permissions of workers (E4, E9).</summary>
public sealed record SandboxOptions
{
    /// <summary>Setting <c>Workers:Sandbox</c>.</summary>
    public SandboxMode Mode { get; init; }

    /// <summary>Steps can use the machine's network; otherwise only the server. Setting <c>Workers:Network</c>.</summary>
    public bool HasNetwork { get; init; } = true;

    /// <summary>Steps may start processes and threads. Setting <c>Workers:AllowChildProcesses</c>.</summary>
    public bool AllowChildProcesses { get; init; }

    /// <summary>Bytes of a worker's own <c>/tmp</c> in the sandbox, and of the largest file that a step may write. Setting
    /// <c>Workers:TmpSize</c>.</summary>
    public long TmpBytes { get; init; } = 128 * 1024 * 1024;

    /// <summary>The folder with one folder for each worker, and nothing else; null for a temporary folder.</summary>
    public string? Rooms { get; init; }

    /// <summary>Folders that every worker can read, at their own paths.</summary>
    public IReadOnlyList<string> Readable { get; init; } = [];

    /// <summary>The folder with installed packages, one folder for each lock. A worker sees only those of its own program; null if there
    /// are none.</summary>
    public string? Packages { get; init; }

    /// <summary>A PEM file with additional authorities that steps trust. Setting <c>Tls:Authorities</c>.</summary>
    public string? Authorities { get; init; }

    /// <summary>Search path for <c>bwrap</c>; null for PATH.</summary>
    public string? SearchPath { get; init; }
}
