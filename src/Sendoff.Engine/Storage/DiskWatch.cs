using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Sendoff.Engine.Storage;

/// <summary>Watches the disk under a database file (G3), and refuses what would grow it before the disk is full.</summary>
/// <remarks>
/// Below <see cref="EngineLimits.DiskMinFree"/> nothing new is accepted; what is under way has the rest. When the disk is full all the
/// same, the reserve file is deleted, so that pruning and work in flight go on. Both recover by themselves.
/// </remarks>
internal sealed class DiskWatch(string database, EngineLimits limits, TimeProvider time, ILogger log) : IDisposable
{
    /// <summary>A start needs this much: the database's log, and the files of deployed versions.</summary>
    const long StartBytes = 4L * 1024 * 1024;
    const long Megabyte = 1024 * 1024;
    static readonly TimeSpan every = TimeSpan.FromSeconds(1);

    readonly string reserve = Path.Combine(Path.GetDirectoryName(database)!, "reserve");
    readonly Lock gate = new();
    SafeFileHandle? served;
    string? refusal;
    long lookedAt;
    volatile bool hasLooked;

    /// <summary>Bytes in the database's file that new rows can use.</summary>
    public long Reusable { get; set; }

    /// <summary>Frees space for a start on a full disk; else makes the reserve. Call once, before the database is opened.</summary>
    public void Start()
    {
        if (FreeBytes() < StartBytes)
            GiveUp();
        else
            MakeReserve();
    }

    /// <summary>Holds on to the file that is served. Call once it is open; dispose after it is closed, as closing any handle of a file
    /// drops SQLite's locks.</summary>
    public void Follow() => served = File.OpenHandle(database, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    public void Dispose() => served?.Dispose();

    /// <exception cref="StoreUnavailableException">Nothing may grow now; the message says why and how to mend it.</exception>
    /// <param name="anew">Looks now; else what was seen within a second counts.</param>
    public void EnsureRoom(bool anew = false)
    {
        if (anew)
            hasLooked = false;
        if (!hasLooked || time.GetElapsedTime(Volatile.Read(ref lookedAt)) >= every)
            Look();
        if (Volatile.Read(ref refusal) is { } reason)
            throw new StoreUnavailableException(reason);
    }

    /// <summary>Deletes the reserve if the disk is full.</summary>
    public void GiveUpIfFull()
    {
        lock (gate)
        {
            if (FreeBytes() < StartBytes)
                GiveUp();
        }
    }

    void GiveUp()
    {
        try
        {
            if (new FileInfo(reserve) is not { Exists: true, Length: var length })
                return;
            File.Delete(reserve);
            log.ReserveGivenUp(reserve, length / Megabyte);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            // Then the disk stays full until somebody frees space on it.
        }
    }

    void Look()
    {
        lock (gate)
        {
            if (hasLooked && time.GetElapsedTime(lookedAt) < every)
                return;
            string? before = refusal;
            long now = time.GetTimestamp();
            Volatile.Write(ref refusal, Refusal());
            // Last: whoever reads outside of the lock that this look was made finds its result.
            Volatile.Write(ref lookedAt, now);
            hasLooked = true;
            if (refusal is not null && before is null)
                log.EventsRefused(refusal);
            else if (refusal is null && before is not null)
                log.EventsAcceptedAgain(FreeBytes() / Megabyte);
            if (refusal is null)
                MakeReserve();
        }
    }

    string? Refusal()
    {
        // Connections that are open do not notice, and what they write would be lost with them.
        if (new FileInfo(database) is not { Exists: true, Length: > 0 })
            return $"the database {database} was deleted or emptied while the server was running; "
                + "stop Sendoff and restore it from a backup";
        if (!IsServedFile())
            return $"the database {database} was replaced by another file while the server was running; stop Sendoff, "
                + "restore the right file without the files -wal and -shm, and start it";
        long free = FreeBytes() + Reusable,
            least = refusal is null ? limits.DiskMinFree : limits.DiskMinFree + limits.DiskMinFree / 8;
        return free >= least
            ? null
            : $"the disk of {database} has {free / Megabyte} MB free, and {limits.DiskMinFree / Megabyte} MB is the minimum for new events "
                + "(setting Disk:MinFree); free space on it, and events are accepted again";
    }

    // Where a file system does not know when a file was made, the time of its last change is taken, and that may be changing now.
    bool IsServedFile()
    {
        for (int i = 0; i < 3; i++)
            if (File.GetCreationTimeUtc(served!) == File.GetCreationTimeUtc(database))
                return true;
        return false;
    }

    void MakeReserve()
    {
        if (limits.DiskReserve == 0 || File.Exists(reserve) || FreeBytes() < limits.DiskMinFree + 2 * limits.DiskReserve)
            return;
        try
        {
            var options = new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                PreallocationSize = limits.DiskReserve,
            };
            if (!OperatingSystem.IsWindows())
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            using var file = new FileStream(reserve, options);
            file.SetLength(limits.DiskReserve);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            log.ReserveNotMade(reserve, limits.DiskReserve / Megabyte, x.Message);
        }
    }

    // What cannot be measured is not refused: the database itself says when it is full.
    long FreeBytes()
    {
        try
        {
            return new DriveInfo(Path.GetDirectoryName(database)!).AvailableFreeSpace;
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return long.MaxValue / 2;
        }
    }
}
