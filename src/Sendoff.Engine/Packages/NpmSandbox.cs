using System.Text.Json;
using Sendoff.Engine.Workers;

namespace Sendoff.Engine.Packages;

/// <summary>The sandbox in which npm installs packages. It contains the target folder, npm's cache and its configuration, and can connect
/// only to the registries (S7 of docs/security-review.md).</summary>
/// <param name="bwrap">bubblewrap's executable.</param>
/// <param name="node">The Node.js that executes npm.</param>
/// <param name="npm">npm's script.</param>
internal sealed class NpmSandbox(string bwrap, SandboxOptions isolation, NodeBinary node, string npm, string harness, EngineLimits limits)
{
    const string Folder = "/install",
        Cache = "/npm-cache",
        UserFile = "/sendoff/npmrc",
        GlobalFile = "/sendoff/npmrc-global";

    /// <summary>Additional variables for npm.</summary>
    static readonly string[] plain = ["LANG", "LC_ALL", "TZ", "NODE_EXTRA_CA_CERTS"];

    /// <summary>The command that sets system limits; null for none.</summary>
    public string? Prlimit { get; set; }

    /// <summary>The script of npm that the command leads to; null if the command is not npm's own script, such as the shim of a version
    /// manager.</summary>
    public static string? ScriptOf(string command)
    {
        string real = File.ResolveLinkTarget(command, returnFinalTarget: true)?.FullName ?? Path.GetFullPath(command);
        return real.EndsWith(".js", StringComparison.Ordinal) && FolderOf(real) is not null ? real : null;
    }

    /// <summary>The folder of npm's own package, because the whole folder is visible in the sandbox.</summary>
    static string? FolderOf(string script)
    {
        for (string? folder = Path.GetDirectoryName(script); folder is not null; folder = Path.GetDirectoryName(folder))
            if (Path.Combine(folder, "package.json") is var manifest && File.Exists(manifest))
                return IsNpm(manifest) ? folder : null;
        return null;
    }

    static bool IsNpm(string manifest)
    {
        try
        {
            return JsonSyntax.ParseForeignNode(File.ReadAllText(manifest))?["name"]?.ToString() == "npm";
        }
        catch (Exception x) when (x is JsonException or IOException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>The command line of npm and its environment.</summary>
    /// <param name="folder">The target folder.</param>
    /// <param name="users">Contains the <c>passwd</c> and <c>group</c> of the sandbox.</param>
    /// <param name="hasCredentials">True for npm itself. Code of packages gets neither credentials nor the cache.</param>
    public (string File, string[] Arguments) Command(
        string[] arguments,
        string folder,
        string users,
        string socket,
        NpmConfig config,
        bool hasCredentials,
        IDictionary<string, string?> environment
    )
    {
        string[] readable =
        [
            .. (
                (string?[])
                    [FolderOf(npm), config.AuthorityFile, environment.TryGetValue("NODE_EXTRA_CA_CERTS", out string? more) ? more : null]
            )
                .OfType<string>()
                .Where(static path => Path.IsPathRooted(path) && !path.StartsWith("/usr/", StringComparison.Ordinal)),
        ];
        var list = Bubblewrap.Common(isolation with { HasNetwork = false, Readable = readable }, node.Path, harness, users);
        list.Remove("--clearenv"); // its content is chosen below
        list.AddRange(["--bind", folder, Folder, "--ro-bind", socket, Bubblewrap.Socket]);
        if (hasCredentials)
        {
            Directory.CreateDirectory(config.Cache);
            list.AddRange(["--bind", config.Cache, Cache]);
            foreach (var (file, inside) in ((string?, string)[])[(config.UserFile, UserFile), (config.GlobalFile, GlobalFile)])
                if (file is not null)
                    list.AddRange(["--ro-bind-try", file, inside]);
        }
        string[] bounded = Prlimit is null
            ? []
            :
            [
                Prlimit,
                .. SystemLimits.Arguments(limits.PackagesBytes + isolation.TmpBytes, limits.PackagesThreads, limits.PackagesMemoryBytes),
            ];
        list.AddRange([
            "--chdir",
            Folder,
            "--remount-ro",
            "/",
            "--",
            .. bounded,
            Bubblewrap.Node,
            Bubblewrap.Harness + "/npm.mjs",
            Bubblewrap.Socket,
            Bubblewrap.Node,
            npm,
            .. arguments,
        ]);
        Choose(environment, config, hasCredentials);
        return (bwrap, [.. list]);
    }

    static void Choose(IDictionary<string, string?> environment, NpmConfig config, bool hasCredentials)
    {
        string files = hasCredentials ? Text(config.UserFile) + Text(config.GlobalFile) : "";
        foreach (string name in environment.Keys.ToList())
        {
            bool isNpms =
                name.StartsWith("npm_config_", StringComparison.OrdinalIgnoreCase)
                && (hasCredentials || !IsCredential(name, environment[name]));
            // A configuration may use variables, such as ${NPM_TOKEN}.
            if (
                !isNpms
                && !plain.Contains(name)
                && !files.Contains("${" + name + "}", StringComparison.Ordinal)
                && !files.Contains("${" + name + "?}", StringComparison.Ordinal)
            )
                environment.Remove(name);
        }
        foreach (string own in (string[])["proxy", "https_proxy", "http_proxy", "noproxy", "userconfig", "globalconfig", "cache", "prefix"])
        foreach (
            string name in environment.Keys.Where(name => name.Equals("npm_config_" + own, StringComparison.OrdinalIgnoreCase)).ToList()
        )
            environment.Remove(name);
        environment["PATH"] = "/sendoff:/usr/local/bin:/usr/bin:/bin";
        environment["HOME"] = "/tmp";
        environment["npm_config_userconfig"] = UserFile; // both may be missing
        environment["npm_config_globalconfig"] = GlobalFile;
        environment["npm_config_cache"] = hasCredentials ? Cache : "/tmp/npm-cache";
        environment["npm_config_noproxy"] = "localhost.invalid"; // an empty variable would use the files instead
    }

    static bool IsCredential(string name, string? value) =>
        ((string[])["auth", "token", "password", "username", "cert", "key", "otp"]).Any(part =>
            name.Contains(part, StringComparison.OrdinalIgnoreCase)
        )
        || name.Contains("//", StringComparison.Ordinal)
        || (Uri.TryCreate(value, UriKind.Absolute, out var url) && url.UserInfo.Length > 0);

    static string Text(string? file) => File.Exists(file) ? File.ReadAllText(file) : "";
}
