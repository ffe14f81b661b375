using System.Diagnostics;
using Npgsql;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Postgres;

namespace Sendoff.Tests.Support;

/// <summary>A PostgreSQL server in a temporary folder, started by the first test that needs one and shared by all. Each test has a separate
/// database.</summary>
internal sealed class PostgresServer : IDisposable
{
    const string Template = "sendoff_template";

    static readonly Lazy<PostgresServer> shared = new(static () => StartShared());
    static int databases;

    readonly string folder = Directory.CreateTempSubdirectory("sendoff-pg-").FullName;

    /// <param name="isDurable">Whether committed data survives the end of the server.</param>
    PostgresServer(bool isDurable)
    {
        // PostgreSQL does not run as root.
        if (Environment.IsPrivilegedProcess)
            Run("chown", "postgres", folder);
        string data = Path.Combine(folder, "data");
        RunTool("initdb", "-D", data, "-U", "sendoff", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8");
        File.AppendAllLines(
            Path.Combine(data, "postgresql.conf"),
            [
                "listen_addresses = ''",
                $"unix_socket_directories = '{folder}'",
                "max_connections = 400",
                isDurable ? "" : "fsync = off",
                isDurable ? "" : "synchronous_commit = off",
                isDurable ? "" : "full_page_writes = off",
                "autovacuum_naptime = 60",
                "shared_buffers = 64MB",
            ]
        );
        Start();
    }

    static PostgresServer StartShared()
    {
        var server = new PostgresServer(isDurable: false);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => server.RemoveSoon();
        var identity = new ServerIdentity("template", "template", "0");
        PostgresStore
            .Open(server.Create(Template), identity, TestSecrets.Parts(new(TimeProvider.System), TimeProvider.System))
            .DisposeAsync()
            .AsTask()
            .Wait();
        return server;
    }

    /// <summary>A server for one test that stops and starts it.</summary>
    public static PostgresServer StartOwn()
    {
        SkipIfMissing();
        return new(isDurable: true);
    }

    static string? ToolFolder =>
        Directory.Exists("/usr/lib/postgresql")
            ? Directory
                .GetDirectories("/usr/lib/postgresql")
                .Select(static version => Path.Combine(version, "bin"))
                .Where(static bin => File.Exists(Path.Combine(bin, "initdb")))
                .MaxBy(static bin => int.Parse(Path.GetFileName(Path.GetDirectoryName(bin))!))
            : null;

    /// <summary>The shared server. Without PostgreSQL, the test is skipped, or fails with CI=true.</summary>
    public static PostgresServer Shared
    {
        get
        {
            SkipIfMissing();
            return shared.Value;
        }
    }

    static void SkipIfMissing()
    {
        if (ToolFolder is null && Environment.GetEnvironmentVariable("CI") != "true")
            Assert.Skip("PostgreSQL is not installed: apt-get install postgresql");
    }

    /// <summary>The connection string of a new database with the current schema.</summary>
    public string NewDatabase()
    {
        string name = $"test{Interlocked.Increment(ref databases)}";
        return Create(name, Template);
    }

    /// <summary>The connection string of a new database without tables.</summary>
    public string NewEmptyDatabase()
    {
        string name = $"test{Interlocked.Increment(ref databases)}";
        return Create(name);
    }

    string Create(string create, string template = "template0")
    {
        using var connection = new NpgsqlConnection($"Host={folder};Username=sendoff;Database=postgres;Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand($"CREATE DATABASE {create} TEMPLATE {template} STRATEGY file_copy", connection);
        command.ExecuteNonQuery();
        return $"Host={folder};Username=sendoff;Database={create}";
    }

    public void Start() =>
        RunTool("pg_ctl", "-D", Path.Combine(folder, "data"), "-l", Path.Combine(folder, "log"), "-w", "-t", "60", "start");

    public void Stop(string mode) => RunTool("pg_ctl", "-D", Path.Combine(folder, "data"), "-m", mode, "-w", "stop");

    // The end of the process does not wait for this.
    void RemoveSoon()
    {
        int pid = int.Parse(File.ReadLines(Path.Combine(folder, "data", "postmaster.pid")).First());
        using (
            Process.Start(
                "/bin/sh",
                ["-c", $"exec >/dev/null 2>&1 </dev/null; (kill -QUIT {pid}; while kill -0 {pid}; do sleep 0.1; done; rm -rf '{folder}') &"]
            )
        ) { }
    }

    public void Dispose()
    {
        Stop("immediate");
        Directory.Delete(folder, recursive: true);
    }

    static void RunTool(string tool, params string[] arguments)
    {
        string path = Path.Combine(
            ToolFolder ?? throw new InvalidOperationException("PostgreSQL is not installed: apt-get install postgresql"),
            tool
        );
        if (Environment.IsPrivilegedProcess)
            Run("setpriv", ["--reuid=postgres", "--regid=postgres", "--clear-groups", path, .. arguments]);
        else
            Run(path, arguments);
    }

    // The output goes to a file, because the server keeps it open.
    static void Run(string program, params string[] arguments)
    {
        string output = Path.GetTempFileName();
        var start = new ProcessStartInfo("/bin/sh")
        {
            WorkingDirectory = "/",
            ArgumentList = { "-c", "out=$1; shift; exec \"$@\" >\"$out\" 2>&1 </dev/null", "sh", output, program },
        };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        process.WaitForExit();
        string said = File.ReadAllText(output);
        File.Delete(output);
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {said}");
    }
}
