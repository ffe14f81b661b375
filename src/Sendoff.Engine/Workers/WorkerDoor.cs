using System.IO.Pipes;
using System.Net.Sockets;
using System.Text;

namespace Sendoff.Engine.Workers;

/// <summary>The endpoint for a worker's connection: a Unix socket in a folder that only this user can enter, or a named pipe on Windows.
/// Removed on dispose.</summary>
internal sealed class WorkerDoor : IDisposable
{
    const int LongestPath = 100; // of the 108 bytes that a Unix socket's path may have, and the 104 of macOS

    readonly Socket? socket;
    readonly NamedPipeServerStream? pipe;
    readonly string? folder;

    public WorkerDoor(string parent)
    {
        if (OperatingSystem.IsWindows())
        {
            string name = "sendoff-" + Guid.NewGuid().ToString("N");
            Address = @"\\.\pipe\" + name;
            pipe = new(
                name,
                PipeDirection.InOut,
                1,
                PipeTransmissionMode.Byte,
                PipeOptions.Asynchronous | PipeOptions.CurrentUserOnly,
                FirstPipeBuffer,
                FirstPipeBuffer
            );
            return;
        }
        string name8 = "sd-" + Guid.NewGuid().ToString("N")[..12];
        folder = Path.Combine(parent, name8);
        if (Encoding.UTF8.GetByteCount(folder) > LongestPath)
            folder = "/tmp/" + name8;
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Address = Path.Combine(folder, "s");
        socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Address));
        socket.Listen(1);
    }

    const int FirstPipeBuffer = 64 * 1024;

    public string Address { get; }

    /// <summary>Removes endpoints that a killed server left. An endpoint is used for seconds.</summary>
    public static void Sweep(string parent, TimeProvider time)
    {
        if (OperatingSystem.IsWindows())
            return;
        try
        {
            foreach (string folder in Directory.EnumerateDirectories(parent, "sd-????????????"))
                if (
                    time.GetUtcNow() - Directory.GetLastWriteTimeUtc(folder) > TimeSpan.FromHours(1)
                    && Directory.EnumerateFileSystemEntries(folder).All(file => Path.GetFileName(file) == "s")
                )
                    Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The endpoint belongs to another user, or was removed by another server at the same time.
        }
    }

    /// <summary>The id of the connected process; null if the system does not provide it.</summary>
    public static int? PeerOf(Stream stream)
    {
        if (!OperatingSystem.IsLinux() || stream is not NetworkStream { Socket: var socket })
            return null;
        const int solSocket = 1,
            soPeerCred = 17;
        Span<byte> credentials = stackalloc byte[12]; // pid, uid, gid
        return socket.GetRawSocketOption(solSocket, soPeerCred, credentials) < 4 ? null : BitConverter.ToInt32(credentials);
    }

    /// <param name="only">The only process that may connect, if the system provides its id; null for any.</param>
    public async Task<Stream> AcceptAsync(int? only, CancellationToken ct)
    {
        if (socket is null)
        {
            await pipe!.WaitForConnectionAsync(ct);
            return pipe;
        }
        while (true)
        {
            var stream = new NetworkStream(await socket.AcceptAsync(ct), ownsSocket: true);
            if (only is null || PeerOf(stream) is not { } pid || pid == only)
                return stream;
            await stream.DisposeAsync();
        }
    }

    public void Dispose()
    {
        socket?.Dispose();
        if (pipe is { IsConnected: false })
            pipe.Dispose();
        if (folder is not null && Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }
}
