namespace Sendoff.Engine.Workers;

public enum SandboxMode
{
    /// <summary>Bubblewrap where it works, else none, and the log says so.</summary>
    Auto,

    /// <summary>Bubblewrap, or no worker starts.</summary>
    Bubblewrap,

    /// <summary>Node.js's permission model alone.</summary>
    None,
}

/// <summary>What a worker may see and do (E4, E9).</summary>
public sealed record SandboxOptions
{
    /// <summary>Setting <c>Workers:Sandbox</c>.</summary>
    public SandboxMode Mode { get; init; }

    /// <summary>Steps reach the machine's network; without it nothing but the server. Setting <c>Workers:Network</c>.</summary>
    public bool HasNetwork { get; init; } = true;

    /// <summary>Steps may start processes and threads. Setting <c>Workers:AllowChildProcesses</c>.</summary>
    public bool AllowChildProcesses { get; init; }

    /// <summary>Bytes of a worker's own <c>/tmp</c> in the sandbox, and of the largest file that a step may write. Setting
    /// <c>Workers:TmpSize</c>.</summary>
    public long TmpBytes { get; init; } = 128 * 1024 * 1024;

    /// <summary>Holds a folder for each worker, with the files of its program. Nothing else may be in it; null is one of this process's
    /// own.</summary>
    public string? Rooms { get; init; }

    /// <summary>Folders that every worker may read, at their own paths.</summary>
    public IReadOnlyList<string> Readable { get; init; } = [];

    /// <summary>Holds a folder of installed packages for each lock. A worker sees those that its own program links to, and no others; null
    /// has none.</summary>
    public string? Packages { get; init; }

    /// <summary>A PEM file with the certificates of authorities that steps trust besides those of Node.js. Setting
    /// <c>Tls:Authorities</c>.</summary>
    public string? Authorities { get; init; }

    /// <summary>Where <c>bwrap</c> is looked for, as in PATH; null is PATH.</summary>
    public string? SearchPath { get; init; }
}
