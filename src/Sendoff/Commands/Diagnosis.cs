using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Cluster;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Workers;
using Sendoff.Server.Auth;

namespace Sendoff.Commands;

enum CheckStatus
{
    Ok,
    Warning,
    Failed,
}

/// <summary>The result of one check, with a remedy if it failed.</summary>
sealed record Check(string Name, CheckStatus Status, string Text)
{
    public static Check Ok(string name, string text) => new(name, CheckStatus.Ok, text);

    public static Check Warning(string name, string text) => new(name, CheckStatus.Warning, text);

    public static Check Failed(string name, string text) => new(name, CheckStatus.Failed, text);
}

/// <summary>Checks the requirements of the server with the server's settings. Changes nothing, except that Node.js is downloaded into its
/// cache if it is missing.</summary>
static class Diagnosis
{
    const long LittleSpace = 1024L * 1024 * 1024;
    static readonly TimeSpan ProxyLimit = TimeSpan.FromSeconds(3),
        Ahead = TimeSpan.FromMinutes(5);

    public static async Task<IReadOnlyList<Check>> MakeAsync(Settings settings, TimeProvider time, CancellationToken ct)
    {
        string folder = Path.GetFullPath(settings.Data),
            database = DatabaseState.PathIn(folder);
        List<Check> checks = [.. await WorkersAsync(settings, ct)];
        checks.Add(Folder(folder));
        var shared = settings.Database is { } connection ? SharedDatabase.Look(connection) : null;
        var state = shared?.State ?? DatabaseState.In(folder);
        checks.Add(shared is null ? Database(folder, database, state) : Database(shared));
        checks.Add(Key(settings.SecretsKey, Path.Combine(folder, SecretKey.FileName), state));
        checks.Add(Files(settings.OpenFiles));
        checks.Add(Addresses(settings));
        if (settings.EgressProxy is { } proxy)
            checks.Add(await ProxyAsync(proxy, ct));
        checks.Add(Clock(database, time));
        return checks;
    }

    static async Task<IReadOnlyList<Check>> WorkersAsync(Settings settings, CancellationToken ct)
    {
        var runtime = new NodeRuntime(
            new NodeOptions { NodePath = settings.NodePath, Authorities = settings.TlsAuthorities },
            NullLogger<NodeRuntime>.Instance
        );
        NodeBinary node;
        try
        {
            node = await runtime.EnsureAsync(null, ct);
        }
        catch (WorkerUnavailableException x)
        {
            return [Check.Failed("node", x.Message)];
        }
        var found = Check.Ok("node", $"{node.Version}, {node.Path}");
        try
        {
            using var sandbox = await Sandbox.PrepareAsync(
                settings.Isolation,
                node,
                Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs"),
                ct
            );
            return
            [
                found,
                sandbox.IsWhole ? Check.Ok("sandbox", sandbox.State) : Check.Warning("sandbox", sandbox.State),
                await NpmAsync(settings, runtime, ct),
            ];
        }
        catch (WorkerUnavailableException x)
        {
            return [found, Check.Failed("sandbox", x.Message), await NpmAsync(settings, runtime, ct)];
        }
    }

    static async Task<Check> NpmAsync(Settings settings, NodeRuntime runtime, CancellationToken ct)
    {
        const string name = "npm";
        var packages = new PackageFolder(
            Path.Combine(settings.Data, "packages"),
            runtime,
            settings.Isolation,
            settings.Limits,
            NullLogger<PackageFolder>.Instance
        );
        try
        {
            var (command, why) = await packages.LookAtNpmAsync(ct);
            if (command is null)
                return Check.Warning(name, "npm is not on the PATH, so steps cannot import packages; install npm beside Node.js");
            return why is null
                ? Check.Ok(name, $"{command}, installs packages in a sandbox")
                : Check.Warning(
                    name,
                    $"{command} installs packages without a sandbox, with the server's permissions and network access: {why}"
                );
        }
        catch (WorkerUnavailableException x)
        {
            return Check.Failed(name, x.Message);
        }
    }

    static Check Folder(string folder)
    {
        const string name = "data";
        string there = folder;
        while (!Directory.Exists(there))
            there = Path.GetDirectoryName(there)!;
        try
        {
            string probe = Path.Combine(there, ".write-" + Guid.NewGuid().ToString("N"));
            File.WriteAllBytes(probe, []);
            File.Delete(probe);
            long free = new DriveInfo(there).AvailableFreeSpace;
            string text = $"{folder}{(there == folder ? "" : " is created at the first start")}, {Megabytes(free)} free";
            return free < LittleSpace
                ? Check.Warning(name, text + ": little space for the history; see Retention:Size")
                : Check.Ok(name, text);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            return Check.Failed(name, $"{folder} cannot be written: {x.Message} Set another one with --data");
        }
    }

    static Check Database(string folder, string path, DatabaseState state)
    {
        const string name = "database";
        if (DataDirectory.LostDatabase(folder) is { } lost)
            return Check.Warning(name, lost);
        if (state.IsEmpty)
            return Check.Ok(name, $"{path} is created at the first start");
        if (state.Fault is { } fault)
            return Check.Failed(name, fault);
        string text = $"{path}, {Megabytes(state.Bytes)}";
        if (IsServed(path + ".lock"))
            text += ", in use by a server";
        return IsForOthers(path)
            ? Check.Warning(name, $"{text}, can be read by other users; the next start makes it private")
            : Check.Ok(name, text);
    }

    static Check Database(SharedDatabase shared) =>
        shared.State.Fault is not null ? Check.Failed("database", shared.Text)
        : shared.Warning is { } warning ? Check.Warning("database", $"{shared.Text}; {warning}")
        : Check.Ok("database", shared.Text);

    static bool IsServed(string lockFile)
    {
        if (!File.Exists(lockFile))
            return false;
        try
        {
            using var file = new FileStream(lockFile, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    static Check Key(string? setting, string path, DatabaseState database)
    {
        const string name = "secret key";
        string source = setting is null ? path : "the setting Secrets:Key";
        if (setting is null && !File.Exists(path))
            return database is { KeyFingerprint: not null } or { Fault: not null }
                ? Check.Failed(name, $"{path} is missing, but the database is encrypted with it: restore it from a backup")
                : Check.Ok(name, $"{path} is created at the first start");
        SecretCipher? cipher;
        try
        {
            cipher = SecretKey.Read(setting ?? File.ReadAllText(path, Encoding.UTF8).Trim());
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            return Check.Failed(name, $"{path} cannot be read: {x.Message}");
        }
        if (cipher is null)
            return Check.Failed(name, $"{source} has no key: restore it from a backup");
        if (database.KeyFingerprint is { } fingerprint && fingerprint != cipher.Fingerprint)
            return Check.Failed(name, $"{source} is not the key of this database: restore the right key from a backup");
        return setting is null && IsForOthers(path)
            ? Check.Warning(name, $"{path} can be read by other users; the next start makes it private")
            : Check.Ok(name, source);
    }

    static bool IsForOthers(string path)
    {
        const UnixFileMode others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
        return !OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & others) != 0;
    }

    static Check Files(OpenFiles files)
    {
        const string name = "open files";
        if (files.Limit < OpenFiles.Fewest)
            return Check.Failed(
                name,
                $"{files}. A server needs at least {OpenFiles.Fewest:N0}: raise the limit (ulimit -n, "
                    + $"LimitNOFILE=) to {OpenFiles.Enough:N0} or more"
            );
        return files.Limit < OpenFiles.Enough
            ? Check.Warning(name, $"{files}. Raise the limit (ulimit -n, LimitNOFILE=) to {OpenFiles.Enough:N0} or more")
            : Check.Ok(name, files.ToString());
    }

    static Check Addresses(Settings settings)
    {
        const string name = "egress";
        try
        {
            EgressSetup.Create(settings);
        }
        catch (Exception x) when (x is CommandException or SettingsException)
        {
            return Check.Failed(name, x.Message);
        }
        return Check.Ok(
            name,
            settings.EgressAddresses.Count > 0
                ? $"deliveries are sent from {string.Join(", ", settings.EgressAddresses)}"
                : "the system chooses the address"
        );
    }

    static async Task<Check> ProxyAsync(EgressProxy proxy, CancellationToken ct)
    {
        const string name = "proxy";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(ProxyLimit);
        try
        {
            using var client = new TcpClient();
            var where = new Uri(proxy.ToString());
            await client.ConnectAsync(where.Host.Trim('[', ']'), where.Port, limit.Token);
            return Check.Ok(name, $"{proxy} takes connections");
        }
        catch (SocketException x)
        {
            return Check.Failed(name, $"{proxy} cannot be reached: {x.Message}");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return Check.Failed(name, $"{proxy} does not answer within {ProxyLimit.TotalSeconds:0} s");
        }
    }

    /// <summary>If the clock is behind stored times, new ids and times would be lower than existing ones.</summary>
    static Check Clock(string database, TimeProvider time)
    {
        const string name = "clock";
        var now = time.GetUtcNow();
        string built = Path.Combine(AppContext.BaseDirectory, "sendoff.dll");
        foreach (string file in (string[])[built, database])
            if (File.Exists(file) && File.GetLastWriteTimeUtc(file) > now + Ahead)
                return Check.Failed(name, $"{now:u} is earlier than the time of {file}: correct the clock, and keep it correct with NTP");
        return Check.Ok(name, $"{now:u}");
    }

    static string Megabytes(long bytes) =>
        bytes >= LittleSpace ? $"{bytes / 1024.0 / 1024 / 1024:0.0} GB" : $"{bytes / 1024.0 / 1024:0.0} MB";
}
