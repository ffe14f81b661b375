using System.Text.Json;
using System.Text.RegularExpressions;

namespace Sendoff.Engine.Packages;

/// <summary>The package sources in npm's configuration. npm itself reads it, because it knows all configuration files.</summary>
internal sealed partial record NpmConfig
{
    /// <summary>Hosts and ports of the registries, of all scopes.</summary>
    public required IReadOnlySet<string> Registries { get; init; }

    /// <summary>The folder of npm's cache.</summary>
    public required string Cache { get; init; }

    /// <summary>The user's and the machine's configuration files, which may contain credentials. They may be missing.</summary>
    public string? UserFile { get; init; }
    public string? GlobalFile { get; init; }

    /// <summary>Certificates of authorities that npm trusts.</summary>
    public string? AuthorityFile { get; init; }

    /// <summary>The proxies for the registries, for HTTP and for HTTPS.</summary>
    public Uri? HttpProxy { get; init; }
    public Uri? HttpsProxy { get; init; }

    /// <summary>Hosts or domains that are connected to without a proxy.</summary>
    public IReadOnlyList<string> NoProxy { get; init; } = [];

    /// <summary>Reads the output of <c>npm config list --json</c>. It omits values with credentials; these are read from npm's own
    /// sources.</summary>
    /// <param name="variable">A variable of npm's environment by its name.</param>
    /// <exception cref="JsonException">The text is not such an output.</exception>
    public static NpmConfig Read(string json, Func<string, string?> variable)
    {
        var root = JsonSyntax.ParseForeign(json);
        string? Listed(string name) =>
            root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text
                ? text
                : null;
        string? Text(string name) =>
            root.TryGetProperty(name, out _) ? Listed(name) : Hidden(name, [Listed("userconfig"), Listed("globalconfig")], variable);
        string? FromEither(string name) => variable(name.ToUpperInvariant()) is { Length: > 0 } upper ? upper : variable(name);

        var scoped = root.EnumerateObject()
            .Where(static one => one.Name.StartsWith('@') && one.Name.EndsWith(":registry", StringComparison.Ordinal))
            .Select(static one => one.Name);
        var registries = scoped
            .Prepend("registry")
            .Select(Text)
            .OfType<string>()
            .Select(static url => Uri.TryCreate(url, UriKind.Absolute, out var parsed) ? Authority(parsed) : null)
            .OfType<string>();
        string? all = Text("proxy") ?? FromEither("proxy");
        return new()
        {
            Registries = registries.ToHashSet(StringComparer.OrdinalIgnoreCase),
            Cache = Listed("cache") ?? throw new JsonException("npm has no cache folder"),
            UserFile = Listed("userconfig"),
            GlobalFile = Listed("globalconfig"),
            AuthorityFile = Listed("cafile"),
            HttpProxy = Proxy(Text("proxy") ?? FromEither("http_proxy") ?? all),
            HttpsProxy = Proxy(Text("https-proxy") ?? Text("proxy") ?? FromEither("https_proxy") ?? all),
            NoProxy = Names(root),
        };
    }

    /// <summary>The environment takes precedence over the user's file, and the user's file over the machine's.</summary>
    static string? Hidden(string name, IEnumerable<string?> files, Func<string, string?> variable) =>
        variable("npm_config_" + name.Replace('-', '_'))
        ?? variable(("npm_config_" + name.Replace('-', '_')).ToUpperInvariant())
        ?? files
            .Where(File.Exists)
            .SelectMany(file => File.ReadLines(file!))
            .Select(line => line.Split('=', 2))
            .Where(pair => pair.Length == 2 && pair[0].Trim() == name)
            .Select(pair => VariableIn().Replace(pair[1].Trim().Trim('"'), match => variable(match.Groups[1].Value) ?? ""))
            .FirstOrDefault();

    [GeneratedRegex(@"\$\{([^}?]+)\??\}")]
    private static partial Regex VariableIn();

    static Uri? Proxy(string? url) =>
        url is not null
        && Uri.TryCreate(url.Contains("://", StringComparison.Ordinal) ? url : "http://" + url, UriKind.Absolute, out var proxy)
            ? proxy
            : null;

    static List<string> Names(JsonElement root) =>
        !root.TryGetProperty("noproxy", out var value)
            ? []
            :
            [
                .. (
                    value.ValueKind == JsonValueKind.Array
                        ? value.EnumerateArray().Select(static one => one.ToString())
                        : value.ToString().Split(',')
                )
                    .Select(static name => name.Trim().TrimStart('*', '.'))
                    .Where(static name => name.Length > 0),
            ];

    /// <summary>Host and port, including a default port.</summary>
    public static string Authority(Uri url) => $"{url.Host}:{url.Port}";

    /// <summary>The proxy for a host; null for a direct connection.</summary>
    public Uri? ProxyFor(string host, bool tunnel) =>
        NoProxy.Any(name =>
            host.Equals(name, StringComparison.OrdinalIgnoreCase) || host.EndsWith("." + name, StringComparison.OrdinalIgnoreCase)
        )
            ? null
        : tunnel ? HttpsProxy
        : HttpProxy;
}
