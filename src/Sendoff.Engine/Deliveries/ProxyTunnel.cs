using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Sendoff.Engine.Deliveries;

/// <summary>Requests a tunnel to a checked address from a proxy, and reads only the proxy's response: later bytes belong to the
/// destination. A failure of the proxy is <see cref="AttemptErrorCode.ProxyFailed"/>; an error of the destination gets the code for the
/// destination.</summary>
internal sealed class ProxyTunnel(EgressProxy proxy, EngineLimits limits)
{
    const byte SocksVersion = 5,
        NoAuthentication = 0,
        UserPassword = 2,
        NothingAcceptable = 255,
        UserPasswordVersion = 1,
        IPv4 = 1,
        Name = 3,
        IPv6 = 4;

    /// <param name="socket">Connected to the proxy; afterwards to the destination.</param>
    /// <exception cref="WireException">There is no tunnel; the error says whether the proxy or the destination is the cause.</exception>
    public async Task OpenAsync(Socket socket, IPEndPoint to, CancellationToken ct)
    {
        try
        {
            await (proxy.IsSocks ? OpenSocksAsync(socket, to, ct) : OpenHttpAsync(socket, to, ct)).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw Failed($"broke the connection: {e.Message}", e);
        }
    }

    // RFC 9110 9.3.6
    async Task OpenHttpAsync(Socket socket, IPEndPoint to, CancellationToken ct)
    {
        var request = new StringBuilder($"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if (proxy.User is { } user)
            request.Append($"Proxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{proxy.Password}"))}\r\n");
        await SendAsync(socket, Encoding.ASCII.GetBytes(request.Append("\r\n").ToString()), ct).ConfigureAwait(false);

        int status;
        ReadOnlyMemory<byte> head;
        int left = limits.ProxyReplyBytes;
        do
        {
            (status, head) = await ReadHeadAsync(socket, left, ct).ConfigureAwait(false);
            left -= head.Length;
        } while (status < 200);
        if (status >= 300)
            throw ProxyRefusal.Of(status, head.Span, proxy, to);
    }

    /// <summary>Reads one response head and its status.</summary>
    async Task<(int Status, ReadOnlyMemory<byte> Head)> ReadHeadAsync(Socket socket, int most, CancellationToken ct)
    {
        byte[] head = new byte[most];
        int length = 0;
        while (true)
        {
            if (length == most)
                throw Failed($"sent more than {limits.ProxyReplyBytes:N0} bytes of headers");
            // Peek first, then consume up to the end of the head: later bytes may be from the destination.
            int seen = await socket.ReceiveAsync(head.AsMemory(length), SocketFlags.Peek, ct).ConfigureAwait(false);
            if (seen == 0)
                throw Failed("closed the connection before it responded");
            int from = Math.Max(0, length - 3);
            int end = head.AsSpan(from, length + seen - from).IndexOf("\r\n\r\n"u8);
            int taken = end < 0 ? seen : from + end + 4 - length;
            await ReadAsync(socket, head.AsMemory(length, taken), ct).ConfigureAwait(false);
            length += taken;
            if (!head.AsSpan(0, length).StartsWith("HTTP/1."u8[..Math.Min(7, length)]))
                throw Failed("sent a response that is not HTTP/1.1");
            if (end >= 0)
                return (StatusOf(head.AsSpan(0, length)), head.AsMemory(0, length));
        }
    }

    int StatusOf(ReadOnlySpan<byte> head) =>
        head
            is [
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                >= (byte)'0'
                and <= (byte)'9',
                (byte)' ',
                >= (byte)'1'
                and <= (byte)'5'
                and var a,
                >= (byte)'0'
                and <= (byte)'9'
                and var b,
                >= (byte)'0'
                and <= (byte)'9'
                and var c,
                (byte)' '
                or (byte)'\r',
                ..,
            ]
            ? ((a - '0') * 100) + ((b - '0') * 10) + c - '0'
            : throw Failed("sent a response that is not HTTP/1.1");

    async Task OpenSocksAsync(Socket socket, IPEndPoint to, CancellationToken ct)
    {
        byte[] methods = proxy.User is null ? [NoAuthentication] : [NoAuthentication, UserPassword];
        await SendAsync(socket, [SocksVersion, (byte)methods.Length, .. methods], ct).ConfigureAwait(false);
        byte[] choice = await ReadAsync(socket, 2, ct).ConfigureAwait(false);
        if (choice[0] != SocksVersion)
            throw Failed("sent a response that is not SOCKS 5");
        if (choice[1] == NothingAcceptable)
            throw Failed(proxy.User is null ? "requires a user and a password" : "accepts none of the ways to sign in");
        if (!methods.Contains(choice[1]))
            throw Failed("chose a way to sign in that was not offered");
        if (choice[1] == UserPassword)
            await SignInAsync(socket, ct).ConfigureAwait(false);

        byte[] address = to.Address.GetAddressBytes(),
            port = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(port, (ushort)to.Port);
        await SendAsync(socket, [SocksVersion, 1, 0, address.Length == 4 ? IPv4 : IPv6, .. address, .. port], ct).ConfigureAwait(false);
        byte[] reply = await ReadAsync(socket, 4, ct).ConfigureAwait(false);
        if (reply[0] != SocksVersion)
            throw Failed("sent a response that is not SOCKS 5");
        if (reply[1] != 0)
            throw Explain(reply[1], to);
        int bound = reply[3] switch
        {
            IPv4 => 4,
            IPv6 => 16,
            Name => (await ReadAsync(socket, 1, ct).ConfigureAwait(false))[0],
            _ => throw Failed("sent a response that is not SOCKS 5"),
        };
        await ReadAsync(socket, bound + 2, ct).ConfigureAwait(false);
    }

    // RFC 1929
    async Task SignInAsync(Socket socket, CancellationToken ct)
    {
        byte[] user = Encoding.UTF8.GetBytes(proxy.User!),
            password = Encoding.UTF8.GetBytes(proxy.Password);
        await SendAsync(socket, [UserPasswordVersion, (byte)user.Length, .. user, (byte)password.Length, .. password], ct)
            .ConfigureAwait(false);
        byte[] answer = await ReadAsync(socket, 2, ct).ConfigureAwait(false);
        if (answer[0] != UserPasswordVersion)
            throw Failed("sent a response that is not SOCKS 5");
        if (answer[1] != 0)
            throw Failed("does not accept its user and password");
    }

    // RFC 1928, section 6
    WireException Explain(byte reply, IPEndPoint to) =>
        reply switch
        {
            3 => new(AttemptErrorCode.ConnectUnreachable, $"{to} cannot be reached through the proxy {proxy}: no route to its network"),
            4 => new(AttemptErrorCode.ConnectUnreachable, $"{to} cannot be reached through the proxy {proxy}: no route to it"),
            5 => new(
                AttemptErrorCode.ConnectRefused,
                $"{to} refused the connection through the proxy {proxy}: nothing is listening on that port"
            ),
            6 => new(AttemptErrorCode.ConnectUnreachable, $"{to} cannot be reached through the proxy {proxy}: too far away (TTL expired)"),
            1 => Failed($"failed to connect to {to}: general proxy failure"),
            2 => Failed($"does not allow a connection to {to}"),
            7 => Failed("does not know the command CONNECT"),
            8 => Failed($"cannot connect to addresses like {to.Address}"),
            _ => Failed($"refused to connect to {to}: it responded with {reply}"),
        };

    static async Task SendAsync(Socket socket, byte[] all, CancellationToken ct)
    {
        for (ReadOnlyMemory<byte> bytes = all; !bytes.IsEmpty; )
            bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None, ct).ConfigureAwait(false)..];
    }

    async Task<byte[]> ReadAsync(Socket socket, int count, CancellationToken ct)
    {
        byte[] bytes = new byte[count];
        await ReadAsync(socket, bytes, ct).ConfigureAwait(false);
        return bytes;
    }

    async Task ReadAsync(Socket socket, Memory<byte> bytes, CancellationToken ct)
    {
        while (!bytes.IsEmpty)
        {
            int count = await socket.ReceiveAsync(bytes, SocketFlags.None, ct).ConfigureAwait(false);
            if (count == 0)
                throw Failed("closed the connection before it responded");
            bytes = bytes[count..];
        }
    }

    WireException Failed(string how, Exception? inner = null) => new(AttemptErrorCode.ProxyFailed, $"the proxy {proxy} {how}", inner);
}
