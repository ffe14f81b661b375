namespace Sendoff.Server;

/// <summary>Options of the server.</summary>
public sealed record ServerOptions
{
    /// <summary>Holds the file <c>admin-token</c>. Setting <c>Data</c>.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>The admin token; null makes one at the first start and keeps it in the data directory. Setting <c>Auth:Token</c>.</summary>
    public string? Token { get; init; }

    /// <summary>Where the server is reached from outside, when that is not where it listens (a reverse proxy): no path.
    /// Null: as each request says. Setting <c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; init; }

    /// <summary>Where callers of workflows reach the server, when that is another origin than the pages': no path. Null: where the pages
    /// are. Setting <c>Hooks:PublicUrl</c>, else the first of <c>Hooks:Listen</c>.</summary>
    public Uri? HooksUrl { get; init; }

    /// <summary>Triggers have listeners of their own, and the others serve none. Setting <c>Hooks:Listen</c>.</summary>
    public bool HasHooksListener { get; init; }

    /// <summary>Reverse proxies whose <c>x-forwarded-for</c> is trusted. Setting <c>TrustedProxies</c>.</summary>
    public Triggers.TrustedProxies TrustedProxies { get; init; } = Triggers.TrustedProxies.None;

    /// <summary>How long a sign-in lasts. Setting <c>Auth:SessionAge</c>.</summary>
    public TimeSpan SessionAge { get; init; } = TimeSpan.FromDays(30);

    /// <summary>Maximum number of sessions; a further sign-in ends the oldest. Setting <c>Auth:MaxSessions</c>.</summary>
    public int SessionsMax { get; init; } = 1_000;

    /// <summary>The development profile, which allows deliveries to loopback. Shown in the API.</summary>
    public bool Development { get; init; }

    /// <summary>Bytes of a deployed folder, packed or not, and of any other body that the API takes.</summary>
    public int DeployBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Files of a deployed folder.</summary>
    public int DeployFiles { get; init; } = 1_000;

    /// <summary>Deliveries that one bulk resend takes.</summary>
    public int ResendAtOnce { get; init; } = 1_000;

    /// <summary>Silence on the event stream before a comment keeps it open.</summary>
    public TimeSpan StreamKeepAlive { get; init; } = TimeSpan.FromSeconds(15);
}
