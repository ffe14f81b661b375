namespace Sendoff.Server;

/// <summary>Options of the server.</summary>
public sealed record ServerOptions
{
    /// <summary>The folder with the file <c>admin-token</c>. Setting <c>Data</c>.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>The admin token; null generates one at the first start and stores it in the data directory. Setting
    /// <c>Auth:Token</c>.</summary>
    public string? Token { get; init; }

    /// <summary>The URL of the server behind a reverse proxy, without a path; null uses the host of each request. Setting
    /// <c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; init; }

    /// <summary>The URL for callers of workflows, without a path; null if it is the origin of the pages. Setting <c>Hooks:PublicUrl</c>,
    /// otherwise the first of <c>Hooks:Listen</c>.</summary>
    public Uri? HooksUrl { get; init; }

    /// <summary>Triggers have separate listeners, and the other listeners serve no triggers. Setting <c>Hooks:Listen</c>.</summary>
    public bool HasHooksListener { get; init; }

    /// <summary>Reverse proxies whose <c>x-forwarded-for</c> is trusted. Setting <c>TrustedProxies</c>.</summary>
    public Triggers.TrustedProxies TrustedProxies { get; init; } = Triggers.TrustedProxies.None;

    /// <summary>Lifetime of a session. Setting <c>Auth:SessionAge</c>.</summary>
    public TimeSpan SessionAge { get; init; } = TimeSpan.FromDays(30);

    /// <summary>Maximum number of sessions; a further sign-in ends the oldest. Setting <c>Auth:MaxSessions</c>.</summary>
    public int SessionsMax { get; init; } = 1_000;

    /// <summary>The development profile, which allows deliveries to loopback. Shown in the API.</summary>
    public bool Development { get; init; }

    /// <summary>Maximum size in bytes of a deployed folder, packed or unpacked, and of any other API body.</summary>
    public int DeployBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Maximum number of files of a deployed folder.</summary>
    public int DeployFiles { get; init; } = 1_000;

    /// <summary>Maximum number of deliveries of one bulk resend.</summary>
    public int ResendAtOnce { get; init; } = 1_000;

    /// <summary>Time without events before a stream sends a comment to stay open.</summary>
    public TimeSpan StreamKeepAlive { get; init; } = TimeSpan.FromSeconds(15);
}
