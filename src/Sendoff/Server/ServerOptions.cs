namespace Sendoff.Server;

/// <summary>What the server is told at its start.</summary>
public sealed record ServerOptions
{
    /// <summary>Holds the file <c>admin-token</c>. Setting <c>Data</c>.</summary>
    public required string DataDirectory { get; init; }
    /// <summary>The admin token; null makes one at the first start and keeps it in the data directory. Setting <c>Auth:Token</c>.</summary>
    public string? Token { get; init; }
    /// <summary>Where the server is reached from outside, when that is not where it listens (a reverse proxy): no path.
    /// Null: as each request says. Setting <c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; init; }
    /// <summary>The development profile, in which deliveries reach loopback. Told on the API.</summary>
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
