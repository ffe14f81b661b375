using System.Diagnostics;
using System.Text;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>The commands are run by a real shell with a real curl, and what arrives is compared with what was delivered.</summary>
public sealed class CurlTests
{
    const string Ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    static readonly bool hasCurl = Has("curl");

    /// <summary>Delivers a send, runs its command, and answers both requests as they arrived.</summary>
    static async Task<(ReceivedRequest Delivered, ReceivedRequest Again, string Command)> BothAsync(
        Func<string, HttpSend> make,
        string shell = "sh",
        string first = ""
    )
    {
        Assert.SkipUnless(hasCurl, "curl is not installed: apt-get install curl");
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending();
        var send = make(receiver.Url);
        var attempt = await sending.SendAsync(send);
        Assert.Null(attempt.Error);
        string command = CurlCommand.Of(
            DeliveryDocument.From(new StoredDelivery(Sending.DeliveryOf(send, attempt.Status), "w", [attempt]))
        );
        string printed = await ShellAsync(first + command, shell);
        Assert.True(receiver.Requests.Count == 2, $"{command}\n{printed}");
        return (ReceivedRequest.Parse(receiver.Requests.First()), ReceivedRequest.Parse(receiver.Requests.Last()), command);
    }

    static async Task<string> ShellAsync(string command, string program)
    {
        using var home = new TempFolder();
        var info = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = home.Path,
        };
        // No settings and no proxies of whoever runs the tests.
        foreach (string name in info.Environment.Keys.Where(k => k.EndsWith("_proxy", StringComparison.OrdinalIgnoreCase)).ToList())
            info.Environment.Remove(name);
        (info.Environment["HOME"], info.Environment["CURL_HOME"], info.Environment["XDG_CONFIG_HOME"]) = (home.Path, home.Path, home.Path);
        using var shell = Process.Start(info)!;
        // Pasted, not passed: a shell's argument has a limit that its input has not.
        var (output, error) = (shell.StandardOutput.ReadToEndAsync(), shell.StandardError.ReadToEndAsync());
        await shell.StandardInput.BaseStream.WriteAsync(Encoding.UTF8.GetBytes(command));
        shell.StandardInput.Close();
        await shell.WaitForExitAsync(Wait.Token);
        Assert.Empty(Directory.EnumerateFileSystemEntries(home.Path));
        return await output + await error;
    }

    static IEnumerable<KeyValuePair<string, string>> Lines(ReceivedRequest request) =>
        request
            .Headers.Select(h => KeyValuePair.Create(h.Key.ToLowerInvariant(), h.Value))
            .OrderBy(h => h.Key, StringComparer.Ordinal)
            .ThenBy(h => h.Value, StringComparer.Ordinal);

    static void AssertSame(ReceivedRequest delivered, ReceivedRequest again)
    {
        Assert.Equal((delivered.Method, delivered.Target), (again.Method, again.Target));
        Assert.Equal(Lines(delivered), Lines(again));
        Assert.Equal(delivered.Body, again.Body);
    }

    public static TheoryData<string, string, string> Requests =>
        new()
        {
            { "GET", "", "" },
            { "GET", "a?q=1&x[]=2&y={a,b}&z='$HOME`id`", "" },
            { "GET", "a/../b/./c", "" },
            { "HEAD", "", "" },
            { "POST", "", "" },
            { "POST", "", """{"name":"Leia","note":"it's \"fine\""}""" },
            { "POST", "", "@/etc/passwd" },
            { "POST", "", "'; touch pwned; echo '" },
            { "POST", "", "$(touch pwned) `touch pwned` \\ ! % * ~ #" },
            { "POST", "", "two\nlines\n\nand 'quotes'\n" },
            { "POST", "", "tab\tand carriage return\r\n" },
            { "POST", "", "nul \0 and escape \u001b[31m" },
            { "POST", "", "é € 🚀" },
            { "POST", "", "-d -X --next" },
            { "PUT", "", "" },
            { "PUT", "x", "a=b&c=d" },
            { "PATCH", "x", "x" },
            { "DELETE", "x", "" },
            { "DELETE", "x", "with a body" },
            { "GET", "x", "with a body" },
            { "PROPFIND", "x", "" },
            { "m!#", "x", "y" },
        };

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task The_command_makes_the_same_request_again(string method, string target, string body)
    {
        var (delivered, again, _) = await BothAsync(url => new HttpSend(
            method,
            url + target,
            [new("x-a", "1")],
            Encoding.UTF8.GetBytes(body)
        ));
        AssertSame(delivered, again);
    }

    [Fact]
    public async Task Every_byte_of_a_binary_body_arrives()
    {
        byte[] all = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        var (delivered, again, command) = await BothAsync(url => new HttpSend(
            "POST",
            url,
            [new("content-type", "application/octet-stream")],
            all
        ));
        AssertSame(delivered, again);
        Assert.Contains("| base64 -d |", command);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_of_a_mebibyte_arrives(bool isText)
    {
        byte[] large = new byte[1024 * 1024];
        if (isText)
            Array.Fill(large, (byte)'\'');
        else
            new Random(1).NextBytes(large);
        var (delivered, again, _) = await BothAsync(url => new HttpSend("POST", url, [new("content-type", "text/plain")], large));
        AssertSame(delivered, again);
    }

    [Fact]
    public async Task Headers_go_as_they_were_whatever_they_hold()
    {
        var (delivered, again, command) = await BothAsync(url => new HttpSend(
            "POST",
            url,
            [
                new("Host", "shop.example"),
                new("X-Two", "a"),
                new("x-two", "b"),
                new("x-empty", ""),
                new("x-quote", "it's $(touch pwned) \"`\\n"),
                new("x-latin", "100% café\\'s"),
                new("x-utf", "€ ü"),
                new("x-tab", "a\tb"),
                new("user-agent", "mine"),
                new("accept", "text/csv"),
                new("accept-encoding", "gzip"),
                new("content-type", "text/plain; charset=utf-8"),
            ],
            "x"u8.ToArray()
        ));
        AssertSame(delivered, again);
        Assert.Contains("-H 'Host: shop.example'", command);
    }

    /// <summary>A shell, and what is put in front: an interactive shell replaces <c>!</c> by what was typed before.</summary>
    public static TheoryData<string, string> Shells =>
        new()
        {
            { "bash", "" },
            { "bash", "set -o history -o histexpand\n" },
            { "dash", "" },
            { "zsh", "" },
            { "zsh", "setopt rcquotes\n" },
            { "zsh", "unsetopt interactivecomments\n" },
        };

    const string Tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    /// <summary>What runs a command where a name is not quoted, as the value makes the whole line differ.</summary>
    static readonly string[] attacks =
    [
        "x'|touch$IFS$9pwned|'",
        "x'&touch$IFS'pwned'&'",
        "`touch$IFS$9pwned`",
        "$'touch'pwned",
        "x'||touch$IFS$9pwned||'",
        "!!",
        "!touch",
        "x%n%s'",
        "#",
        "~",
        "*",
    ];

    static readonly string[] values = ["plain", "", "é", "€ ü", "a\tb", "it's $(touch pwned) `touch pwned` !! \"", "%s%n \\ é"];

    [Theory]
    [MemberData(nameof(Shells))]
    public async Task No_header_name_or_value_is_ever_a_command_in_any_shell(string shell, string first)
    {
        Assert.SkipUnless(Has(shell), $"{shell} is not installed: apt-get install {shell}");
        string[] names = [.. Tokens.Select(static c => $"{c}{c}x{c}"), Tokens, .. attacks];
        var headers = names.SelectMany(static (name, n) => values.Select((value, v) => new Header($"{name}{n:x}{v}", value)));
        foreach (var some in headers.Chunk(100))
        {
            var (delivered, again, _) = await BothAsync(url => new HttpSend("M" + Tokens[..60], url, some, "x"u8.ToArray()), shell, first);
            AssertSame(delivered, again);
        }
    }

    [Theory]
    [MemberData(nameof(Shells))]
    public async Task What_is_masked_beside_an_attack_runs_nothing(string shell, string first)
    {
        Assert.SkipUnless(Has(shell), $"{shell} is not installed: apt-get install {shell}");
        await using var receiver = Receiver.Answering(Ok);
        Header[] headers =
        [
            .. attacks.Select(static (name, n) => new Header($"{name}{n:x}", "••••••••")),
            new("x-c1", "•••••••• \u009b31m"),
        ];
        var send = new HttpSend("POST", receiver.Url, headers, Encoding.UTF8.GetBytes("•••••••• \u001b[201~\ntouch pwned\n'"));
        string command = CurlCommand.Of(
            DeliveryDocument.From(new StoredDelivery(Sending.DeliveryOf(send, DeliveryStatus.Captured), "w", []))
        );

        Assert.False(TerminalText.IsActive(command), command);
        // As an interactive zsh reads a line that begins with #.
        string printed = await ShellAsync(first + command.Replace("# ", ": ", StringComparison.Ordinal), shell);
        Assert.True(receiver.Requests.Count == 1, $"{command}\n{printed}");
        Assert.EndsWith("\u001b[201~\ntouch pwned\n'", receiver.Request);
    }

    static bool Has(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Any(folder => File.Exists(Path.Combine(folder, program)));

    [Fact]
    public async Task What_curl_makes_itself_is_left_to_it()
    {
        await using var receiver = Receiver.Answering(Ok);
        using var sending = new Sending();
        var send = Sending.Post(receiver.Url, "x");
        string command = CurlCommand.Of(
            DeliveryDocument.From(new StoredDelivery(Sending.DeliveryOf(send), "w", [await sending.SendAsync(send)]))
        );

        Assert.Equal(
            $"""
            curl '{receiver.Url}' \
              -H 'content-type: text/plain' \
              -H 'accept: */*' \
              -H 'accept-encoding: gzip, deflate' \
              -H 'user-agent: sendoff/0.1.0' \
              --compressed \
              --data-raw 'x'

            """,
            command[(command.IndexOf('\n') + 1)..]
        );
    }

    [Fact]
    public void What_is_masked_stays_visible_and_a_comment_says_what_to_fill_in()
    {
        var send = new HttpSend(
            "POST",
            "https://api.example.com/?key=••••••••",
            [new("Authorization", "••••••••"), new("x-key", "••••••••")],
            Encoding.UTF8.GetBytes("{\n\t\"token\": \"••••••••\"\n}")
        );
        string command = CurlCommand.Of(
            DeliveryDocument.From(new StoredDelivery(Sending.DeliveryOf(send, DeliveryStatus.Captured), "w", []))
        );

        Assert.Equal("# Fill in the values masked as ••••••••: the URL, Authorization, x-key, the body", command.Split('\n')[1]);
        Assert.Contains("-H 'Authorization: ••••••••'", command);
        Assert.Contains("-H 'x-key: ••••••••'", command);
        Assert.Contains("--data-raw '{\n\t\"token\": \"••••••••\"\n}'", command);
        Assert.Contains("--http1.1", command);
    }

    [Fact]
    public async Task A_run_has_a_command_for_each_delivery()
    {
        await using var server = await TestServer.StartAsync();
        var id = await SampleRuns.AddAsync(server);
        var run = await server.GetRunAsync(id.ToString());
        using var response = await server.Http.GetAsync($"/api/v1/runs/{id}/curl");
        string text = await response.Content.ReadAsStringAsync();

        Assert.Equal("text/plain; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.All(run.Steps[1].Deliveries, d => Assert.Contains($"# {d.Id}\n", text));
        Assert.Equal(3, text.Split("\ncurl '").Length - 1);
    }
}
