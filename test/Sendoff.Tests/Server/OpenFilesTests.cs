using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>File descriptors run out on one side only: connections are bounded, and what serves them goes on.</summary>
public sealed class OpenFilesTests
{
    const string Token = "a-token-for-the-server";
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1_048_576L, null, 1_046_320L, 1_000)]
    [InlineData(1_048_576L, 500, 500L, 1_000)]
    [InlineData(1_024L, null, 384L, 192)]
    [InlineData(1_024L, 5_000, 384L, 192)]
    [InlineData(100L, null, 16L, 16)]
    public void Connections_leave_enough_for_workers_deliveries_and_the_server_itself(
        long limit,
        int? setting,
        long connections,
        int deliveries
    )
    {
        var files = OpenFiles.Share(limit, new EngineLimits { WorkersMax = 8 }, setting);
        Assert.Equal((limit, connections, deliveries), (files.Limit, files.Connections, files.Deliveries));
    }

    [Fact]
    public void Where_the_system_has_no_limit_there_is_no_bound() =>
        Assert.Equal(new OpenFiles(null, null, 1_000), OpenFiles.Share(null, new EngineLimits(), null));

    [Fact]
    public async Task A_limit_that_is_too_low_for_any_server_is_said_to_be()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "prlimit is for Linux only");
        using var folder = new TempFolder();
        var info = SendoffCommand.Info("serve", "--data", folder.Path, "--listen", "http://127.0.0.1:0");
        info.ArgumentList.Insert(0, "dotnet");
        info.ArgumentList.Insert(0, "--nofile=300:300");
        info.FileName = "prlimit";
        using var process = System.Diagnostics.Process.Start(info)!;
        process.StandardInput.Close();
        string said = await process.StandardError.ReadToEndAsync(Wait.Token);
        await process.WaitForExitAsync(Wait.Token);
        Assert.Equal(2, process.ExitCode);
        Assert.Contains("can have 300 open files, but a server needs at least 384", said.ReplaceLineEndings(" "));
    }

    [Fact]
    public async Task More_idle_connections_than_descriptors_leave_a_server_that_runs_kills_and_serves()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "prlimit is for Linux only");
        const int files = 512;
        using var folder = new TempFolder();
        await using var server = await ServerProcess.StartWithFilesAsync(files, folder.Path, Token, "Workers:Max=4", "Workers:Timeout=1s");
        Assert.Contains("512 open files: up to ", await server.SaysAsync("open files"));
        string loops = await server.DeployAsync("loops", "while (true) ;"),
            works = await server.DeployAsync("works", "$respond({ status: 200, body: 'works' })");

        // One request each, so that the server has taken them in; its answer, or the end of the connection, shows it.
        var held = new List<Socket>();
        int open = 0;
        try
        {
            for (int i = 0; i < 2 * files; i++)
                held.Add(await ConnectAsync(server));
            foreach (var socket in held)
                if (await AnswersAsync(socket))
                    open++;
            Assert.InRange(open, 16, files);

            // Each of these is a worker that is killed and its successor.
            for (int i = 0; i < 3; i++)
                await PostAsync(held[0], loops);
            await Wait.UntilAsync(async () => await CountAsync(held[0], "/api/v1/runs?workflow=loops&status=timed_out", "\"run_") >= 3);
            Assert.False(server.HasExited);
        }
        finally
        {
            foreach (var socket in held)
                socket.Dispose();
        }
        await Wait.UntilAsync(() => ServesAsync(server, works, Ct));
    }

    static async Task<Socket> ConnectAsync(ServerProcess server)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30_000 };
        await socket.ConnectAsync(IPAddress.Loopback, server.Http.BaseAddress!.Port, Ct);
        return socket;
    }

    static async Task<bool> AnswersAsync(Socket socket)
    {
        try
        {
            await socket.SendAsync("GET /healthz/live HTTP/1.1\r\nhost: localhost\r\n\r\n"u8.ToArray(), Ct);
            return (await ReadAsync(socket)).Length > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    static async Task PostAsync(Socket socket, string path) => Assert.StartsWith("HTTP/1.1 200", await AskAsync(socket, $"POST {path}"));

    static async Task<int> CountAsync(Socket socket, string path, string text) =>
        (await AskAsync(socket, $"GET {path}")).Split(text).Length - 1;

    /// <summary>A whole answer, as the next one of the connection follows it; empty when the connection ends.</summary>
    static async Task<string> ReadAsync(Socket socket)
    {
        var piece = new byte[64 * 1024];
        string answer = "";
        while (!IsWhole(answer))
        {
            int length = await socket.ReceiveAsync(piece, Ct).AsTask().WithinLimitAsync();
            if (length == 0)
                return "";
            answer += Encoding.Latin1.GetString(piece, 0, length);
        }
        return answer;
    }

    static bool IsWhole(string answer)
    {
        int head = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (head < 0)
            return false;
        string? length = answer[..head]
            .Split("\r\n")
            .FirstOrDefault(static line => line.StartsWith("content-length:", StringComparison.OrdinalIgnoreCase));
        return length is null
            ? answer.EndsWith("0\r\n\r\n", StringComparison.Ordinal)
            : answer.Length >= head + 4 + int.Parse(length.AsSpan(15));
    }

    static async Task<string> AskAsync(Socket socket, string request)
    {
        await socket.SendAsync(
            Encoding.ASCII.GetBytes($"{request} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {Token}\r\ncontent-length: 0\r\n\r\n"),
            Ct
        );
        string answer = await ReadAsync(socket);
        Assert.NotEmpty(answer);
        return answer;
    }

    static async Task<bool> ServesAsync(ServerProcess server, string hook, CancellationToken ct)
    {
        try
        {
            using var response = await server.Http.PostAsync(hook, null, ct);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false; // the connections that were closed are still counted
        }
    }

    [Fact]
    public void A_fault_in_a_timer_is_logged_and_the_timer_goes_on()
    {
        var time = new FakeTimeProvider();
        int ticks = 0;
        using var timer = Background.Timer(
            time,
            NullLogger.Instance,
            "a test",
            () =>
            {
                ticks++;
                throw new IOException("Too many open files");
            }
        );
        timer.Change(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        time.Advance(TimeSpan.FromSeconds(1));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, ticks);
    }

    [Fact]
    public async Task A_fault_in_a_work_item_does_not_end_the_process()
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Background.Queue(
            NullLogger.Instance,
            "a test",
            begun,
            static begun =>
            {
                begun.SetResult();
                throw new IOException("Too many open files");
            }
        );
        await begun.Task.WithinLimitAsync();
        // A second one: the first has left its thread by then, or its exception would have ended this process.
        var second = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Background.Queue(NullLogger.Instance, "a test", second, static second => second.SetResult());
        await second.Task.WithinLimitAsync();
    }
}
