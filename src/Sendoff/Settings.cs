using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Sendoff.Engine;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Sendoff.Server;
using Sendoff.Server.Auth;

namespace Sendoff;

/// <summary>An invalid setting: its key, its value and the expected format.</summary>
sealed class SettingsException(string key, string value, string expected)
    : Exception($"the setting {key} is '{value}'; expected {expected}");

/// <summary>A workflow's own rules, in addition to the server's.</summary>
sealed record WorkflowEgress(IReadOnlyList<string> Allow, IReadOnlyList<string> Deny);

/// <summary>All settings, read once at startup. Sources in increasing precedence: <c>appsettings.json</c>, <c>SENDOFF_Section__Key</c>,
/// flags.</summary>
sealed record Settings
{
    /// <summary>The data directory. Setting <c>Data</c>.</summary>
    public string Data { get; init; } = ".sendoff";

    /// <summary>The connection string of PostgreSQL; null for SQLite. Setting <c>Database</c>.</summary>
    public string? Database { get; init; }

    /// <summary>Addresses that the server listens on. Setting <c>Listen</c>.</summary>
    public IReadOnlyList<ListenAddress> Listen { get; init; } = ListenAddress.ReadList("http://localhost:5180")!;

    /// <summary>The URL of the server behind a reverse proxy; null for its listening address. Setting <c>PublicUrl</c>.</summary>
    public Uri? PublicUrl { get; init; }

    /// <summary>Listeners that serve only triggers. If there are any, the listeners of <see cref="Listen"/> serve no triggers. Setting
    /// <c>Hooks:Listen</c>.</summary>
    public IReadOnlyList<ListenAddress> HooksListen { get; init; } = [];

    /// <summary>The URL for callers of workflows, if it differs from that of the web UI. Setting <c>Hooks:PublicUrl</c>.</summary>
    public Uri? HooksPublicUrl { get; init; }

    /// <summary>Reverse proxies whose <c>x-forwarded-for</c> is trusted. Setting <c>TrustedProxies</c>.</summary>
    public Server.Triggers.TrustedProxies TrustedProxies { get; init; } = Server.Triggers.TrustedProxies.None;

    /// <summary>The certificate of https listeners. Settings <c>Tls:Certificate</c>, <c>Tls:Key</c>, <c>Tls:Password</c>.</summary>
    public string? TlsCertificate { get; init; }
    public string? TlsKey { get; init; }
    public string? TlsPassword { get; init; }

    /// <summary>A PEM file with certificates of authorities that deliveries, steps and npm trust in addition to the system's. Setting
    /// <c>Tls:Authorities</c>.</summary>
    public string? TlsAuthorities { get; init; }

    /// <summary>Lifetime of a session. Setting <c>Auth:SessionAge</c>.</summary>
    public TimeSpan SessionAge { get; init; } = TimeSpan.FromDays(30);

    /// <summary>Maximum number of sessions. Setting <c>Auth:MaxSessions</c>.</summary>
    public int SessionsMax { get; init; } = 1_000;
    public EngineLimits Limits { get; init; } = new();

    /// <summary>A Node.js program to use instead of the pinned one. Setting <c>Workers:NodePath</c>.</summary>
    public string? NodePath { get; init; }

    /// <summary>Isolation of steps. Settings <c>Workers:Sandbox</c>, <c>:Network</c>, <c>:AllowChildProcesses</c>,
    /// <c>:TmpSize</c>.</summary>
    public SandboxOptions Isolation { get; init; } = new();

    /// <summary>Rules for allowed destinations in addition to public addresses (D2). Setting <c>Egress:Allow</c>.</summary>
    public IReadOnlyList<string> EgressAllow { get; init; } = [];

    /// <summary>Rules for denied destinations, which take precedence. Setting <c>Egress:Deny</c>.</summary>
    public IReadOnlyList<string> EgressDeny { get; init; } = [];

    /// <summary>Additional rules for single workflows, by name. Settings <c>Egress:Workflows:NAME:Allow</c> and <c>:Deny</c>.</summary>
    public IReadOnlyDictionary<string, WorkflowEgress> EgressWorkflows { get; init; } = new Dictionary<string, WorkflowEgress>();

    /// <summary>Local addresses from which deliveries are sent (D3); if empty, the system chooses. Setting
    /// <c>Egress:Addresses</c>.</summary>
    public IReadOnlyList<IPAddress> EgressAddresses { get; init; } = [];

    /// <summary>The published addresses and ranges; if empty, <see cref="EgressAddresses"/>. Setting
    /// <c>Egress:PublicAddresses</c>.</summary>
    public IReadOnlyList<string> EgressPublicAddresses { get; init; } = [];

    /// <summary>The proxy for deliveries. Setting <c>Egress:Proxy</c>.</summary>
    public EgressProxy? EgressProxy { get; init; }

    /// <summary>The mail server. Settings <c>Smtp:*</c>.</summary>
    public SmtpOptions Smtp { get; init; } = new();

    /// <summary>The object store. Settings <c>S3:*</c>.</summary>
    public S3Options S3 { get; init; } = new();

    /// <summary>The admin token; null for the one in the data directory. Setting <c>Auth:Token</c>.</summary>
    public string? AuthToken { get; init; }

    /// <summary>Maximum number of connections; null derives it from the limit of open files.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>How the file descriptors of this process are divided.</summary>
    public OpenFiles OpenFiles => OpenFiles.Share(OpenFiles.Current(), Limits, MaxConnections);

    /// <summary>The encryption key of secrets, in Base64; null for the key in the data directory. Setting <c>Secrets:Key</c>.</summary>
    public string? SecretsKey { get; init; }

    /// <summary>The development profile (<c>--development</c>, set by <c>dotnet run</c>): deliveries to loopback are allowed.</summary>
    public bool Development { get; init; }

    public static readonly IReadOnlyList<string> Loopback = ["127.0.0.0/8", "::1/128"];

    /// <summary>The rules in force, with loopback in the development profile.</summary>
    public IReadOnlyList<string> EffectiveAllow => Development ? [.. Loopback, .. EgressAllow] : EgressAllow;

    /// <summary>Reads the settings. An invalid value throws <see cref="SettingsException"/>; unknown keys cause warnings.</summary>
    public static (Settings Settings, IReadOnlyList<string> Warnings) Read(
        IEnumerable<KeyValuePair<string, string?>> values,
        bool development
    )
    {
        var settings = new Settings { Development = development };
        var warnings = new List<string>();
        foreach (var (key, value) in values.Where(v => v.Value is not null))
        {
            if ((keys.GetValueOrDefault(key) ?? OfWorkflow(key)) is { } known)
                settings =
                    known.Apply(settings, value!)
                    ?? throw new SettingsException(key, known.IsSecret ? SecretMask.Cover : value!, known.Expected);
            else if (!others.Contains(key.Split(':')[0]))
                warnings.Add(Unknown(key));
        }
        return (settings, warnings);
    }

    static string Unknown(string key)
    {
        // The name of a workflow is part of its keys.
        IEnumerable<string> ofWorkflow = key.Split(':') is [_, _, .. { Length: > 0 } name, _]
            ? [$"{WorkflowPrefix}{string.Join(':', name)}:Allow", $"{WorkflowPrefix}{string.Join(':', name)}:Deny"]
            : [];
        return Spelling.Closest(key, keys.Keys.Concat(ofWorkflow)) is { } meant
            ? $"unknown setting {key}, which has no effect; did you mean {meant}?"
            : $"unknown setting {key}, which has no effect; docs/operating.md lists all settings";
    }

    /// <summary>Reads <c>appsettings.json</c> of the current folder, the environment, and the flags.</summary>
    public static (Settings Settings, IReadOnlyList<string> Warnings) Load(
        IEnumerable<KeyValuePair<string, string?>> flags,
        bool development
    )
    {
        var configuration = new ConfigurationBuilder()
            .AddJsonFile(Path.GetFullPath("appsettings.json"), optional: true)
            .AddEnvironmentVariables("SENDOFF_")
            .AddInMemoryCollection(flags)
            .Build();
        return Read(configuration.AsEnumerable(), development);
    }

    public X509Certificate2Collection? ReadAuthorities() => TlsAuthorities is null ? null : ReadAuthorities(TlsAuthorities);

    static X509Certificate2Collection? ReadAuthorities(string file)
    {
        try
        {
            var found = new X509Certificate2Collection();
            found.ImportFromPemFile(file);
            return found;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            return null;
        }
    }

    /// <param name="IsSecret">An invalid value is not printed, because it may contain a password.</param>
    sealed record Key(string Expected, Func<Settings, string, Settings?> Apply, bool IsSecret = false);

    const string WorkflowPrefix = "Egress:Workflows:";

    const string Rules = "a comma-separated list of CIDR ranges, host patterns and ports";

    // Sections of ASP.NET Core and variables of the commands.
    static readonly HashSet<string> others = new(StringComparer.OrdinalIgnoreCase)
    {
        "Logging",
        "AllowedHosts",
        "Kestrel",
        "SERVER",
        "TOKEN",
    };

    static readonly Dictionary<string, Key> keys = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Data"] = new("a folder", (s, v) => v.Length > 0 ? s with { Data = v } : null),
        ["Listen"] = new(ListenAddress.Expected, (s, v) => ListenAddress.ReadList(v) is { } all ? s with { Listen = all } : null),
        ["PublicUrl"] = PublicAddress((s, url) => s with { PublicUrl = url }),
        ["TrustedProxies"] = new(
            "a comma-separated list of IP addresses and ranges such as 10.0.0.0/8, and unix for Unix sockets",
            (s, v) => Server.Triggers.TrustedProxies.Parse(v) is { } all ? s with { TrustedProxies = all } : null
        ),
        ["Hooks:Listen"] = new(
            ListenAddress.Expected,
            (s, v) => ListenAddress.ReadList(v) is { } all ? s with { HooksListen = all } : null
        ),
        ["Hooks:PublicUrl"] = PublicAddress((s, url) => s with { HooksPublicUrl = url }),
        ["Tls:Certificate"] = new(
            "the path of a certificate file, PEM or PKCS #12",
            (s, v) => File.Exists(v) ? s with { TlsCertificate = v } : null
        ),
        ["Tls:Key"] = new("the path of a key file, PEM", (s, v) => File.Exists(v) ? s with { TlsKey = v } : null),
        ["Tls:Password"] = new("a password", (s, v) => s with { TlsPassword = v }, IsSecret: true),
        ["Tls:Authorities"] = new(
            "the path of a file with certificates of authorities, PEM",
            (s, v) =>
                ReadAuthorities(v) is { Count: > 0 }
                    ? s with
                    {
                        TlsAuthorities = Path.GetFullPath(v),
                        Isolation = s.Isolation with { Authorities = Path.GetFullPath(v) },
                    }
                    : null
        ),
        ["Auth:SessionAge"] = new(
            "a duration from 1m to 365d, such as 30d or 12h",
            (s, v) =>
                ReadAge(v) is { } age && age >= TimeSpan.FromMinutes(1) && age <= TimeSpan.FromDays(365)
                    ? s with
                    {
                        SessionAge = age,
                    }
                    : null
        ),
        ["Auth:MaxSessions"] = new(
            "a whole number, at least 1",
            (s, v) =>
                int.TryParse(v, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n > 0 ? s with { SessionsMax = n } : null
        ),
        ["Database"] = new(
            "sqlite, or a connection string of PostgreSQL such as Host=…;Database=…;Username=…;Password=…",
            (s, v) =>
                v == "sqlite" ? s with { Database = null }
                : v.Contains("Host=", StringComparison.OrdinalIgnoreCase) ? s with { Database = v }
                : null,
            IsSecret: true
        ),
        ["Servers:Roles"] = new(
            RoleNames.Expected,
            (s, v) => RoleNames.Read(v) is { } roles ? s with { Limits = s.Limits with { ServerRoles = roles } } : null
        ),
        ["Servers:Lease"] = Duration((l, v) => l with { ServerLease = v }),
        ["Delivery:Deadline"] = Duration((l, v) => l with { DeliveryDeadline = v }),
        ["Delivery:MaxConcurrent"] = Count((l, v) => l with { DeliveryMaxConcurrent = v }),
        ["Delivery:MaxPerDestination"] = Count((l, v) => l with { DeliveryMaxPerDestination = v }),
        ["Delivery:BodyCapture"] = Bytes((l, v) => v <= 16 * 1024 * 1024 ? l with { DeliveryBodyCapture = (int)v } : null),
        ["Delivery:MaxRedirects"] = new(
            "a whole number from 0 to 10",
            (s, v) =>
                int.TryParse(v, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n <= 10
                    ? s with
                    {
                        Limits = s.Limits with { DeliveryMaxRedirects = n },
                    }
                    : null
        ),
        ["Delivery:IdempotencyKey"] = Switch((l, v) => l with { DeliveryIdempotencyKey = v }),
        ["Delivery:Traceparent"] = Switch((l, v) => l with { DeliveryTraceparent = v }),
        ["Egress:Allow"] = new(Rules, (s, v) => s with { EgressAllow = List(v) }),
        ["Egress:Deny"] = new(Rules, (s, v) => s with { EgressDeny = List(v) }),
        ["Egress:Addresses"] = new(
            "a comma-separated list of complete IP addresses of this machine",
            (s, v) => ReadAddresses(v) is { } all ? s with { EgressAddresses = all } : null
        ),
        ["Egress:PublicAddresses"] = new(
            "a comma-separated list of IP addresses and ranges such as 203.0.113.0/28",
            (s, v) => List(v) is { } all && all.All(a => IsAddress(a, out _) || IsRange(a)) ? s with { EgressPublicAddresses = all } : null
        ),
        ["Egress:Proxy"] = new(
            "http://[user:password@]host:port or socks5://[user:password@]host:port, user and password percent-encoded",
            (s, v) => EgressProxy.TryParse(v, out var proxy) ? s with { EgressProxy = proxy } : null,
            IsSecret: true
        ),
        ["Sends:MaxPerRun"] = Count((l, v) => l with { SendsPerRun = v }),
        ["Sends:MaxBodyBytes"] = Bytes((l, v) => v <= 15 * 1024 * 1024 ? l with { SendBodyBytes = (int)v } : null),
        ["Sends:MaxUrlBytes"] = Bytes((l, v) => v <= 64 * 1024 ? l with { SendUrlBytes = (int)v } : null),
        ["Sends:MaxHeaderBytes"] = Bytes((l, v) => v <= 256 * 1024 ? l with { SendHeaderBytes = (int)v } : null),
        ["Sends:MaxBytesPerRun"] = Bytes((l, v) => l with { SendBytesPerRun = v }),
        ["Documents:MaxBodyBytes"] = Bytes((l, v) => v <= 16 * 1024 * 1024 ? l with { DocumentBodyBytes = (int)v } : null),
        ["Documents:MaxBytes"] = Bytes((l, v) => v <= 256 * 1024 * 1024 ? l with { DocumentBytes = (int)v } : null),
        ["Smtp:Host"] = new(
            "a host name or an address",
            (s, v) => v.Length > 0 && !v.Any(char.IsWhiteSpace) ? s with { Smtp = s.Smtp with { Host = v } } : null
        ),
        ["Smtp:Port"] = new(
            "a port from 1 to 65535",
            (s, v) =>
                ushort.TryParse(v, NumberStyles.None, CultureInfo.InvariantCulture, out ushort port) && port > 0
                    ? s with
                    {
                        Smtp = s.Smtp with { Port = port },
                    }
                    : null
        ),
        ["Smtp:Username"] = new("a name", (s, v) => v.Length > 0 ? s with { Smtp = s.Smtp with { Username = v } } : null),
        ["Smtp:Password"] = new("a password", (s, v) => s with { Smtp = s.Smtp with { Password = v } }, IsSecret: true),
        ["Smtp:From"] = new(
            "an address such as Sendoff <sendoff@example.com>",
            (s, v) => EmailSender.IsAddress(v) ? s with { Smtp = s.Smtp with { From = v } } : null
        ),
        ["Smtp:To"] = new(
            "an address such as ops@example.com",
            (s, v) => EmailSender.IsAddress(v) ? s with { Smtp = s.Smtp with { To = v } } : null
        ),
        ["Smtp:Security"] = new(
            "tls, starttls or none",
            (s, v) =>
                v is "tls" or "starttls" or "none"
                    ? s with
                    {
                        Smtp = s.Smtp with { Security = Enum.Parse<SmtpSecurity>(v, ignoreCase: true) },
                    }
                    : null
        ),
        ["Smtp:AllowTo"] = new(
            "a comma-separated list of addresses and patterns such as *@example.com",
            (s, v) =>
                List(v) is { } all && all.All(static p => p == "*" || p.Contains('@'))
                    ? s with
                    {
                        Limits = s.Limits with { EmailAllowTo = all },
                    }
                    : null
        ),
        ["S3:Endpoint"] = new(
            "a URL without a path, such as https://s3.example.com",
            (s, v) =>
                Uri.TryCreate(v, UriKind.Absolute, out var url)
                && url is { Scheme: "http" or "https", PathAndQuery: "/", Fragment: "", UserInfo: "" }
                    ? s with
                    {
                        S3 = s.S3 with { Endpoint = url },
                    }
                    : null
        ),
        ["S3:Region"] = new(
            "a region such as eu-central-1",
            (s, v) =>
                v.Length > 0 && v.All(static c => char.IsAsciiLetterOrDigit(c) || c == '-')
                    ? s with
                    {
                        S3 = s.S3 with { Region = v },
                    }
                    : null
        ),
        ["S3:AccessKey"] = new("an access key's id", (s, v) => v.Length > 0 ? s with { S3 = s.S3 with { AccessKey = v } } : null),
        ["S3:SecretKey"] = new(
            "a secret access key",
            (s, v) => v.Length > 0 ? s with { S3 = s.S3 with { SecretKey = v } } : null,
            IsSecret: true
        ),
        ["Alerts:Quiet"] = Duration((l, v) => l with { AlertQuiet = v }),
        ["Alerts:BacklogAge"] = Duration((l, v) => l with { AlertBacklogAge = v }),
        ["Alerts:BacklogRuns"] = Count((l, v) => l with { AlertBacklogRuns = v }),
        ["Alerts:BacklogEvery"] = Duration((l, v) => l with { AlertBacklogEvery = v }),
        ["Accounts:Max"] = Count((l, v) => l with { Accounts = v }),
        ["Accounts:RefreshBefore"] = Duration((l, v) => l with { AccountRefreshBefore = v }),
        ["Accounts:Timeout"] = Duration((l, v) => l with { AccountTimeout = v }),
        ["Accounts:ConnectTimeout"] = Duration((l, v) => l with { AccountConnect = v }),
        ["Sources:MaxIds"] = Count((l, v) => l with { SourceIdsKept = v }),
        ["Emit:MaxHops"] = Count((l, v) => l with { EmitHops = v }),
        ["Sse:MaxReaders"] = Count((l, v) => l with { SseReaders = v }),
        ["Quota:ComputePerDay"] = Duration((l, v) => l with { QuotaCompute = v }),
        ["Quota:InvocationsPerDay"] = Count((l, v) => l with { QuotaInvocations = v }),
        ["Runs:MaxQueued"] = Count((l, v) => l with { RunsQueued = v }),
        ["Runs:MaxLogBytes"] = Bytes((l, v) => v <= 15 * 1024 * 1024 ? l with { RunLogBytes = (int)v } : null),
        ["Runs:MaxExportBytes"] = Bytes((l, v) => v <= 15 * 1024 * 1024 ? l with { RunExportBytes = (int)v } : null),
        ["Triggers:MaxBodyBytes"] = Bytes((l, v) => v <= 10 * 1024 * 1024 ? l with { TriggerBodyBytes = (int)v } : null),
        ["Triggers:FileUrlAge"] = new(
            "a duration such as 30m or 2h",
            (s, v) => ReadAge(v) is { } age ? s with { Limits = s.Limits with { TriggerFileUrlAge = age } } : null
        ),
        ["Workers:Max"] = Count((l, v) => l with { WorkersMax = v }),
        ["Workers:Memory"] = new(
            "64MB to 10GB",
            (s, v) =>
                ReadBytes(v) / (1024 * 1024) is { } mb and >= 64 and <= 10240
                    ? s with
                    {
                        Limits = s.Limits with { WorkerMemoryMb = (int)mb },
                    }
                    : null
        ),
        ["Workers:Timeout"] = Timeout((l, v) => l with { RunTimeout = v }),
        ["Workers:ScheduleTimeout"] = Timeout((l, v) => l with { ScheduleTimeout = v }),
        ["Workers:NodePath"] = new("the path of a Node.js program", (s, v) => File.Exists(v) ? s with { NodePath = v } : null),
        ["Workers:Sandbox"] = new(
            "auto, bubblewrap or none",
            (s, v) =>
                v switch
                {
                    "auto" => s.Isolated(o => o with { Mode = SandboxMode.Auto }),
                    "bubblewrap" => s.Isolated(o => o with { Mode = SandboxMode.Bubblewrap }),
                    "none" => s.Isolated(o => o with { Mode = SandboxMode.None }),
                    _ => null,
                }
        ),
        ["Workers:Network"] = new(
            "host or none",
            (s, v) => v is "host" or "none" ? s.Isolated(o => o with { HasNetwork = v == "host" }) : null
        ),
        ["Workers:AllowChildProcesses"] = new(
            "true or false",
            (s, v) => bool.TryParse(v, out bool on) ? s.Isolated(o => o with { AllowChildProcesses = on }) : null
        ),
        ["Workers:TmpSize"] = new(
            "a size from 1MB, such as 128MB",
            (s, v) => ReadBytes(v) is { } bytes and >= 1024 * 1024 ? s.Isolated(o => o with { TmpBytes = bytes }) : null
        ),
        ["Packages:Timeout"] = Duration((l, v) => l with { PackagesTimeout = v }),
        ["Packages:MaxBytes"] = Bytes((l, v) => l with { PackagesBytes = v }),
        ["Packages:Memory"] = new(
            "a size from 256MB, such as 1GB",
            (s, v) =>
                ReadBytes(v) is { } bytes and >= 256 * 1024 * 1024
                    ? s with
                    {
                        Limits = s.Limits with { PackagesMemoryBytes = bytes },
                    }
                    : null
        ),
        ["Packages:Hosts"] = new(
            "a comma-separated list of hosts, each with its port if that is not 443",
            (s, v) =>
                List(v).Select(WithPort).ToList() is { } hosts && !hosts.Contains(null)
                    ? s with
                    {
                        Limits = s.Limits with { PackagesHosts = hosts! },
                    }
                    : null
        ),
        ["Packages:AllowScripts"] = new(
            "a comma-separated list of npm package names",
            (s, v) =>
                List(v) is { } names && names.All(PackageFolder.IsName)
                    ? s with
                    {
                        Limits = s.Limits with { PackagesAllowScripts = names },
                    }
                    : null
        ),
        ["Retention:Age"] = new(
            "a duration such as 7d or 12h",
            (s, v) => ReadAge(v) is { } age ? s with { Limits = s.Limits with { RetentionAge = age } } : null
        ),
        ["Retention:Size"] = Bytes((l, v) => l with { RetentionBytes = v }),
        ["Disk:MinFree"] = Bytes((l, v) => l with { DiskMinFree = v }),
        ["Disk:Reserve"] = Bytes((l, v) => l with { DiskReserve = v }),
        ["Shutdown:Timeout"] = Duration((l, v) => l with { ShutdownTimeout = v }),
        ["Stores:MaxValueBytes"] = Bytes((l, v) => v <= 8 * 1024 * 1024 ? l with { DataStoreValueBytes = (int)v } : null),
        ["Stores:MaxKeys"] = Count((l, v) => l with { DataStoreKeys = v }),
        ["Stores:MaxBytes"] = Bytes((l, v) => l with { DataStoreBytes = v }),
        ["Stores:MaxBytesInAll"] = Bytes((l, v) => l with { DataStoreBytesInAll = v }),
        ["Secrets:Key"] = new(
            "32 bytes in Base64, as printed by `openssl rand -base64 32`",
            (s, v) => SecretKey.Read(v) is not null ? s with { SecretsKey = v } : null,
            IsSecret: true
        ),
        ["MaxConnections"] = new(
            "a whole number, at least 16",
            (s, v) =>
                int.TryParse(v, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n >= 16
                    ? s with
                    {
                        MaxConnections = n,
                    }
                    : null
        ),
        ["Auth:Token"] = new(
            "at least 16 characters without spaces",
            (s, v) => v.Length >= 16 && !v.Any(char.IsWhiteSpace) ? s with { AuthToken = v } : null,
            IsSecret: true
        ),
    };

    // A workflow's name may contain a colon.
    static Key? OfWorkflow(string key)
    {
        int end = key.LastIndexOf(':');
        if (!key.StartsWith(WorkflowPrefix, StringComparison.OrdinalIgnoreCase) || end <= WorkflowPrefix.Length)
            return null;
        string name = key[WorkflowPrefix.Length..end];
        return key[(end + 1)..].ToUpperInvariant() switch
        {
            "ALLOW" => new(Rules, (s, v) => s.With(name, own => own with { Allow = List(v) })),
            "DENY" => new(Rules, (s, v) => s.With(name, own => own with { Deny = List(v) })),
            _ => null,
        };
    }

    Settings With(string workflow, Func<WorkflowEgress, WorkflowEgress> change) =>
        this with
        {
            EgressWorkflows = new Dictionary<string, WorkflowEgress>(EgressWorkflows, StringComparer.OrdinalIgnoreCase)
            {
                [workflow] = change(EgressWorkflows.GetValueOrDefault(workflow) ?? new([], [])),
            },
        };

    Settings Isolated(Func<SandboxOptions, SandboxOptions> change) => this with { Isolation = change(Isolation) };

    static Key PublicAddress(Func<Settings, Uri, Settings> apply) =>
        new(
            "a URL without a path, such as https://hooks.example.com",
            (s, v) =>
                Uri.TryCreate(v, UriKind.Absolute, out var url)
                && url is { Scheme: "http" or "https", PathAndQuery: "/", Fragment: "", UserInfo: "" }
                    ? apply(s, url)
                    : null
        );

    static Key Duration(Func<EngineLimits, TimeSpan, EngineLimits> apply) =>
        new(
            "a duration such as 5s or 500ms",
            (s, v) => WorkflowReader.ParseDuration(v) is { } duration ? s with { Limits = apply(s.Limits, duration) } : null
        );

    static Key Timeout(Func<EngineLimits, TimeSpan, EngineLimits> apply) =>
        new(
            "a duration up to 750s, such as 30s",
            (s, v) =>
                WorkflowReader.ParseDuration(v) is { } t && t <= s.Limits.RunTimeoutMax ? s with { Limits = apply(s.Limits, t) } : null
        );

    static Key Count(Func<EngineLimits, int, EngineLimits> apply) =>
        new(
            "a whole number, at least 1",
            (s, v) =>
                int.TryParse(v, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n > 0
                    ? s with
                    {
                        Limits = apply(s.Limits, n),
                    }
                    : null
        );

    static Key Bytes(Func<EngineLimits, long, EngineLimits?> apply) =>
        new(
            "a size such as 64KB or 1MB",
            (s, v) => ReadBytes(v) is { } bytes && apply(s.Limits, bytes) is { } limits ? s with { Limits = limits } : null
        );

    static Key Switch(Func<EngineLimits, bool, EngineLimits> apply) =>
        new("true or false", (s, v) => bool.TryParse(v, out bool on) ? s with { Limits = apply(s.Limits, on) } : null);

    static string[] List(string value) => value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    static string? WithPort(string host) =>
        Uri.TryCreate("https://" + host, UriKind.Absolute, out var url)
        && url is { PathAndQuery: "/", UserInfo: "", Fragment: "" }
        && !host.Contains('/')
            ? $"{url.Host}:{url.Port}"
            : null;

    static IPAddress[]? ReadAddresses(string value)
    {
        var all = new List<IPAddress>();
        foreach (string text in List(value))
        {
            if (!IsAddress(text, out var address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))
                return null;
            all.Add(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address);
        }
        return [.. all];
    }

    // The parser also accepts 10.1 and 012.0.0.1, which are probably mistakes.
    static bool IsAddress(string text, [NotNullWhen(true)] out IPAddress? address) =>
        IPAddress.TryParse(text, out address) && (text.Contains(':') || text == address.ToString());

    static bool IsRange(string text) =>
        IPNetwork.TryParse(text, out var range)
        && IPAddress.TryParse(text[..text.IndexOf('/')], out var first)
        && first.Equals(range.BaseAddress);

    static TimeSpan? ReadAge(string value) =>
        value.EndsWith('d') && double.TryParse(value[..^1], CultureInfo.InvariantCulture, out double days) && days > 0
            ? TimeSpan.FromDays(days)
            : WorkflowReader.ParseDuration(value);

    static long? ReadBytes(string value)
    {
        string text = value.Trim().ToUpperInvariant().Replace("IB", "B", StringComparison.Ordinal);
        var (digits, unit) = text switch
        {
            _ when text.EndsWith("KB", StringComparison.Ordinal) => (text[..^2], 1024L),
            _ when text.EndsWith("MB", StringComparison.Ordinal) => (text[..^2], 1024L * 1024),
            _ when text.EndsWith("GB", StringComparison.Ordinal) => (text[..^2], 1024L * 1024 * 1024),
            _ when text.EndsWith('B') => (text[..^1], 1L),
            _ => (text, 1L),
        };
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long n) && n < 1L << 33 ? n * unit : null;
    }
}
