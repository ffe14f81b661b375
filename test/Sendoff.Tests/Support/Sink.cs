using System.Collections.Concurrent;
using System.Text;

namespace Sendoff.Tests.Support;

/// <summary>A parsed request.</summary>
sealed record ReceivedRequest(string Method, string Target, IReadOnlyList<KeyValuePair<string, string>> Headers, byte[] Body)
{
    public string? Header(string name) => Headers.FirstOrDefault(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    public static ReceivedRequest Parse(string raw)
    {
        int end = raw.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        string[] lines = raw[..end].Split("\r\n");
        string[] first = lines[0].Split(' ');
        return new(
            first[0],
            first[1],
            [.. lines.Skip(1).Select(l => l.Split(':', 2)).Select(l => KeyValuePair.Create(l[0], l[1].TrimStart(' ')))],
            Encoding.Latin1.GetBytes(raw[(end + 4)..])
        );
    }
}

/// <summary>A well-behaved receiver: responds to every request in the same way, immediately, late, or when released.</summary>
sealed class Sink : IAsyncDisposable
{
    public const string DefaultBody = """{"received":true}""";
    readonly Receiver receiver;
    readonly TaskCompletionSource released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly SemaphoreSlim arrived = new(0);
    readonly ConcurrentQueue<ReceivedRequest> requests = new();

    Sink(int status, string body, TimeSpan delay, bool hold)
    {
        string response =
            $"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: "
            + $"{Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}";
        if (!hold)
            released.SetResult();
        receiver = Receiver.Start(async connection =>
        {
            while (await connection.ReadRequestAsync() is { } raw)
            {
                requests.Enqueue(ReceivedRequest.Parse(raw));
                arrived.Release();
                await released.Task.WaitAsync(connection.Stop);
                if (delay > TimeSpan.Zero)
                    await Task.Delay(delay, connection.Stop);
                await connection.WriteAsync(response);
            }
        });
    }

    public static Sink Start(int status = 200, string body = DefaultBody, TimeSpan delay = default, bool hold = false) =>
        new(status, body, delay, hold);

    public string Url => receiver.Url;
    public IReadOnlyCollection<ReceivedRequest> Requests => requests;

    /// <summary>Waits until this number of further requests has arrived.</summary>
    public Task WaitForRequestsAsync(int count) => Wait.ForAsync(arrived, count);

    /// <summary>Sends the delayed responses.</summary>
    public void Release() => released.TrySetResult();

    public ValueTask DisposeAsync() => receiver.DisposeAsync();
}
