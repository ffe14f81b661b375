using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Sendoff.Engine.Storage;

/// <summary>Watches the disk of a database file (G3), and refuses new data before the disk is full.</summary>
/// <remarks>Below <see cref="EngineLimits.DiskMinFree"/> nothing new is accepted; the rest is for work in flight. If the disk is full
/// anyway, the reserve file is deleted, so that pruning and work in flight continue. Both recover automatically.</remarks>
internal sealed class DiskWatch(string database, EngineLimits limits, TimeProvider time, ILogger log) : IDisposable
{
    /// <summary>Space needed for a start: the database's log, and the files of deployed versions.</summary>
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

    /// <summary>Frees space for a start on a full disk; otherwise creates the reserve. Call once, before the database is opened.</summary>
    public void Start()
    {
        if (FreeBytes() < StartBytes)
            GiveUp();
        else
            MakeReserve();
    }

    /// <summary>Keeps a handle of the database file. Call after it is opened; dispose after it is closed, because closing any handle of a
    /// file releases SQLite's locks.</summary>
    public void Follow() => served = File.OpenHandle(database, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    public void Dispose() => served?.Dispose();

    /// <exception cref="StoreUnavailableException">No new data is accepted now; the message gives the reason and the remedy.</exception>
    /// <param name="anew">Checks now; otherwise a result of the last second is used.</param>
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
            // If there is no reserve, the disk stays full until space is freed.
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
            // Last, so that readers outside the lock see the result.
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
        // Open connections do not notice, and their writes would be lost.
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

    // If the file system has no creation times, the time of the last change is used, which may change now.
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

    // If the space cannot be measured, nothing is refused: the database reports a full disk.
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
