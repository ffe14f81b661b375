using System.Diagnostics;
using System.Net.Sockets;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>A real nginx before the server, with nothing set but where it passes requests on.</summary>
public sealed class NginxTests : IAsyncLifetime
{
    readonly TempFolder folder = new();
    TestServer server = null!;
    Process nginx = null!;
    HttpClient client = null!;

    static CancellationToken Ct => TestContext.Current.CancellationToken;

    string Socket => Path.Combine(folder.Path, "nginx.sock");

    public async ValueTask InitializeAsync()
    {
        string? program = new[] { "/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx" }.FirstOrDefault(File.Exists);
        if (program is null)
        {
            const string why = "there is no nginx: apt-get install nginx";
            Assert.False(Environment.GetEnvironmentVariable("CI") == "true", why);
            Assert.Skip(why);
        }
        server = await TestServer.StartAsync();
        string config = Path.Combine(folder.Path, "nginx.conf");
        string temp = string.Concat(
            ((string[])["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]).Select(kind => $"{kind}_temp_path {folder.Path}/{kind};\n")
        );
        await File.WriteAllTextAsync(
            config,
            $$"""
            daemon off;
            pid {{folder.Path}}/pid;
            error_log {{folder.Path}}/error.log;
            events {}
            http {
              access_log off;
              {{temp}}
              server {
                listen unix:{{Socket}};
                location / { proxy_pass {{server.Address.GetLeftPart(UriPartial.Authority)}}; }
              }
            }
            """,
            Ct
        );
        nginx = Process.Start(
            new ProcessStartInfo(program, ["-p", folder.Path, "-e", $"{folder.Path}/error.log", "-c", config])
            {
                RedirectStandardError = true,
            }
        )!;
        client = new HttpClient(
            new SocketsHttpHandler
            {
                ConnectCallback = async (_, ct) =>
                {
                    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(Socket), ct);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            }
        )
        {
            BaseAddress = new Uri("http://localhost"),
        };
        await Wait.UntilAsync(() => File.Exists(Socket) || nginx.HasExited);
        Assert.False(nginx.HasExited, "nginx ended at its start");
    }

    public async ValueTask DisposeAsync()
    {
        client?.Dispose();
        if (nginx is not null)
        {
            nginx.Kill(entireProcessTree: true);
            await nginx.WaitForExitAsync(Ct);
            nginx.Dispose();
        }
        if (server is not null)
            await server.DisposeAsync();
        folder.Dispose();
    }

    async Task<StreamReader> OpenAsync(string path)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path)
        {
            Headers = { Authorization = server.Http.DefaultRequestHeaders.Authorization },
        };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct).WithinLimitAsync();
        Assert.True(response.IsSuccessStatusCode, $"{path}: {response.StatusCode}");
        return new StreamReader(await response.Content.ReadAsStreamAsync(Ct));
    }

    static async Task<string> LineWithAsync(StreamReader stream, string text)
    {
        while (await stream.ReadLineAsync(Wait.Token) is { } line)
            if (line.Contains(text, StringComparison.Ordinal))
                return line;
        throw new InvalidOperationException($"the stream ended before '{text}' came");
    }

    [Fact]
    public async Task What_a_workflow_streams_arrives_as_it_is_sent()
    {
        string hook = await server.DeployAsync("news", "$send.sse({ channel: 'news', payload: { n: event.body.n } })", "step.js");
        string stream = new Uri(
            (await server.Store.GetWorkflowAsync("news", Ct)) is { } found
                ? server.Address + server.Get<Sendoff.Server.Triggers.StreamKeys>().PathOf(found.Id)[1..]
                : ""
        ).AbsolutePath;
        using var reader = await OpenAsync(stream);
        await LineWithAsync(reader, "keepalive");

        for (int n = 1; n <= 2; n++)
        {
            await server.RunAsync(hook, $$"""{"n":{{n}}}""");
            Assert.Equal($$"""data: {"n":{{n}}}""", await LineWithAsync(reader, "data: "));
        }
    }

    [Fact]
    public async Task Changes_arrive_as_they_happen()
    {
        string hook = await server.DeployAsync("any", "return 1", "step.js");
        using var reader = await OpenAsync("/api/v1/stream");
        await LineWithAsync(reader, "listening");

        string run = await server.PostAsync(hook);

        Assert.Contains(run, await LineWithAsync(reader, run));
    }
}
