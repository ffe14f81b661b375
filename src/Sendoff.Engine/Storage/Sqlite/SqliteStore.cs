using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Engine.Storage.Sqlite;

/// <summary>The store in one file, for one process (G1), with <c>synchronous=FULL</c>.</summary>
internal sealed class SqliteStore : SqlStore
{
    readonly string path;
    readonly FileStream processLock;
    readonly SqliteSession session;
    readonly DiskWatch disk;

    SqliteStore(
        string path,
        FileStream processLock,
        DiskWatch disk,
        SqliteSession session,
        StoreParts parts,
        MemoryRuns unfinished,
        MemoryWorkflows workflows
    )
        : base(parts, session, () => OpenReader(path), new SqlitePruner(parts.Limits), unfinished, workflows) =>
        (this.path, this.processLock, this.disk, this.session, Servers) = (path, processLock, disk, session, new OnlyServer(parts.Time));

    /// <summary>Opens the database, creates it if necessary, and upgrades its schema.</summary>
    /// <param name="ids">Continues above all ids in the database.</param>
    /// <exception cref="StoreUnavailableException">It cannot be opened; the message gives the reason and the remedy.</exception>
    public static async Task<SqliteStore> OpenAsync(
        string path,
        Concealment concealment,
        IdSequence ids,
        EngineLimits limits,
        TimeProvider time,
        ILogger<SqliteStore> log,
        CancellationToken ct
    )
    {
        path = Path.GetFullPath(path);
        return await Task.Run(() => Open(path, concealment, ids, limits, time, log), ct);
    }

    internal static SqliteStore Open(
        string path,
        Concealment concealment,
        IdSequence ids,
        EngineLimits limits,
        TimeProvider time,
        ILogger log
    )
    {
        var processLock = TakeLock(path);
        SqliteSession? session = null;
        var disk = new DiskWatch(path, limits, time, log);
        try
        {
            disk.Start();
            DatabaseFiles.Check(path);
            DatabaseFiles.Protect(path, log);
            session = OpenWriter(path);
            disk.Follow();
            int schema = Migrator.Run(session.Connection, "Storage/Sqlite/Migrations/", log);
            var unfinished = new MemoryRuns(time);
            unfinished.Load(session);
            var workflows = new MemoryWorkflows();
            workflows.Load(session);
            var highest = IdSequence.MomentOf(Math.Max(HighestId(session), unfinished.HighestRun()));
            ids.StartAfter(unfinished.HighestRun());
            var store = new SqliteStore(path, processLock, disk, session, new(concealment, ids, limits, time, log), unfinished, workflows);
            log.StoreOpened(path, schema, unfinished.Count);
            if (highest > time.GetUtcNow() + limits.ClockTolerance)
                log.IdsAhead(path, highest);
            return store;
        }
        catch (Exception error)
        {
            session?.Dispose();
            disk.Dispose();
            processLock.Dispose();
            if (SqliteErrors.Explain(error, path) is { } unavailable)
                throw unavailable;
            throw;
        }
    }

    protected override StoreUnavailableException? Explain(Exception error)
    {
        var reason = SqliteErrors.Explain(error, path);
        if (reason is not null)
            disk.GiveUpIfFull();
        return reason;
    }

    /// <summary>An exclusive handle, which the system releases when the process ends for any reason.</summary>
    internal static FileStream TakeLock(string path)
    {
        string folder = Path.GetDirectoryName(path)!,
            file = path + ".lock";
        try
        {
            Directory.CreateDirectory(folder);
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new StoreUnavailableException(
                $"the data folder {folder} cannot be written; give Sendoff write access to it, or set another folder",
                error
            );
        }
        catch (IOException error)
        {
            throw File.Exists(file)
                ? new($"the database {path} is in use by another Sendoff process; stop it, or set another data folder", error)
                : new StoreUnavailableException($"the data folder {folder} cannot be written ({error.Message}); set another folder", error);
        }
    }

    // auto_vacuum has an effect only before the first page is written, so before WAL.
    internal static SqliteSession OpenWriter(string path) =>
        SqliteSession.Open(
            path,
            SqliteOpenMode.ReadWriteCreate,
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=2000",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "wal_autocheckpoint=2000",
            "journal_size_limit=67108864"
        );

    static SqliteSession OpenReader(string path) =>
        SqliteSession.Open(path, SqliteOpenMode.ReadOnly, "busy_timeout=2000", "temp_store=MEMORY", "cache_size=-8192");

    protected override void EnsureRoom(bool anew = false) => disk.EnsureRoom(anew);

    protected override void Pruned(SqlSession session)
    {
        SqlitePruner.Checkpoint((SqliteSession)session);
        disk.Reusable = SqlitePruner.FreeBytes(session);
    }

    /// <summary>Size of the database on the disk, including its log.</summary>
    public override Task<long> SizeBytesAsync(CancellationToken ct) => Task.FromResult(FileBytes(path) + FileBytes(path + "-wal"));

    static long FileBytes(string file) => new FileInfo(file) is { Exists: true, Length: var length } ? length : 0;

    public override IServers Servers { get; }

    protected override ValueTask CloseAsync()
    {
        session.Dispose();
        disk.Dispose();
        processLock.Dispose();
        return ValueTask.CompletedTask;
    }
}
