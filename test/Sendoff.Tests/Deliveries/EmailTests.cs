using System.Net;
using System.Net.Sockets;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

public sealed class EmailTests
{
    const string Mail = """{"subject":"Order 7","text":"plain","html":"<b>rich</b>"}""";

    static SmtpOptions To(MailServer server, SmtpSecurity security = SmtpSecurity.None) =>
        new("127.0.0.1", server.Port, From: "Sendoff <sendoff@example.com>", To: "owner@example.com", Security: security);

    static Task<Attempt> SendAsync(SmtpOptions smtp, string body = Mail, EngineLimits? limits = null, EgressOptions? egress = null) =>
        SendAsync(smtp, Sending.DeliveryOf(Request(body)), limits, egress);

    static async Task<Attempt> SendAsync(SmtpOptions smtp, Delivery delivery, EngineLimits? limits = null, EgressOptions? egress = null)
    {
        limits ??= Sending.Patient;
        using var sending = new Sending(limits, TestCertificates.Roots, egress: egress);
        return await new EmailSender(sending.Sender, smtp, limits, TimeProvider.System, TestCertificates.Roots).SendAsync(
            delivery,
            1,
            0.5,
            default
        );
    }

    static HttpSend Request(string body) => new("SEND", "email:", [new("content-type", "application/json")], Encoding.UTF8.GetBytes(body));

    [Fact]
    public async Task Email_goes_to_the_owner_with_both_bodies_and_the_reply_is_the_response()
    {
        await using var server = new MailServer();
        var attempt = await SendAsync(To(server));

        Assert.Null(attempt.Error);
        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.Equal((250, "SMTP"), (attempt.Response!.Status, attempt.Response.HttpVersion));
        Assert.Contains("queued as 42", attempt.Text());
        Assert.Equal($"127.0.0.1:{server.Port}", attempt.RemoteAddress);
        Assert.NotNull(attempt.Timing.ConnectMs);
        Assert.NotNull(attempt.Timing.WaitMs);
        Assert.Contains(attempt.RequestHeaders, h => h is { Name: "subject", Value: "Order 7" });
        Assert.Contains("RCPT TO:<owner@example.com>", server.Commands.Single(c => c.StartsWith("RCPT")));
        string message = Assert.Single(server.Messages);
        Assert.Contains("From: Sendoff <sendoff@example.com>", message);
        Assert.Contains("multipart/alternative", message);
        Assert.True(
            message.IndexOf("plain", StringComparison.Ordinal) < message.IndexOf("<b>rich</b>", StringComparison.Ordinal),
            "the richest part comes last (RFC 2046 5.1.4)"
        );
    }

    [Theory]
    [InlineData("""{"html":"<i>only</i>"}""", "text/html")]
    [InlineData("""{"text":"only"}""", "text/plain")]
    [InlineData("{}", "text/plain")]
    public async Task Email_of_one_body_has_one_part(string body, string type)
    {
        await using var server = new MailServer();
        await SendAsync(To(server), body);
        string message = Assert.Single(server.Messages);
        Assert.Contains(type, message);
        Assert.DoesNotContain("multipart", message);
    }

    [Fact]
    public async Task Line_breaks_and_dots_forge_neither_header_nor_command()
    {
        await using var server = new MailServer();
        await SendAsync(To(server), """{"subject":"a\r\nBcc: evil@example.com","text":".\r\n.\r\nQUIT\r\n"}""");
        string message = Assert.Single(server.Messages);
        Assert.DoesNotContain("\nBcc:", message);
        Assert.Equal(1, server.Commands.Count(c => c == "QUIT"));
        Assert.Equal(1, server.Commands.Count(c => c.StartsWith("RCPT")));
    }

    [Theory]
    [InlineData(SmtpSecurity.StartTls)]
    [InlineData(SmtpSecurity.Tls)]
    public async Task Session_is_secured_and_signed_in_and_the_password_is_in_no_record(SmtpSecurity security)
    {
        await using var server = new MailServer
        {
            Certificate = TestCertificates.Issue("127.0.0.1"),
            IsTls = security == SmtpSecurity.Tls,
            OffersSignIn = true,
        };
        // A server that repeats what it was shown.
        server.Replies["."] = "250 thanks, hunter2-is-long and " + Convert.ToBase64String("\0user\0hunter2-is-long"u8);
        var attempt = await SendAsync(To(server, security) with { Username = "user", Password = "hunter2-is-long" });

        Assert.Equal(DeliveryStatus.Succeeded, attempt.Status);
        Assert.NotNull(attempt.Timing.TlsMs);
        Assert.Contains(server.Commands, c => c.StartsWith("AUTH PLAIN"));
        var stored = TestSecrets.Concealment().Conceal(attempt);
        Assert.DoesNotContain("hunter2", stored.Text());
        Assert.DoesNotContain(Convert.ToBase64String("\0user\0hunter2-is-long"u8)[8..], stored.Text());
    }

    [Theory]
    [InlineData("wrong.example", false, "wrong host")]
    [InlineData("127.0.0.1", true, "expired")]
    public async Task Certificate_that_is_not_right_is_tls_failed_and_says_why(string name, bool expired, string why)
    {
        foreach (var security in new[] { SmtpSecurity.StartTls, SmtpSecurity.Tls })
        {
            await using var server = new MailServer
            {
                Certificate = TestCertificates.Issue(name, expired),
                IsTls = security == SmtpSecurity.Tls,
            };
            var attempt = await SendAsync(To(server, security));
            Assert.Equal((AttemptErrorCode.TlsFailed, AttemptPhase.Tls), (attempt.Error!.Code, attempt.Error.Phase));
            Assert.Contains(why, attempt.Error.Message);
            Assert.Empty(server.Messages);
        }
    }

    [Fact]
    public async Task Server_without_starttls_is_tls_failed_and_nothing_is_said_in_the_clear()
    {
        await using var server = new MailServer { OffersSignIn = true };
        var attempt = await SendAsync(To(server, SmtpSecurity.StartTls) with { Username = "user", Password = "hunter2-is-long" });
        Assert.Equal(AttemptErrorCode.TlsFailed, attempt.Error!.Code);
        Assert.Contains("STARTTLS", attempt.Error.Message);
        Assert.DoesNotContain(server.Commands, c => c.StartsWith("AUTH") || c.StartsWith("MAIL"));
    }

    [Theory]
    [InlineData("greeting", "554 go away", 554)]
    [InlineData("MAIL", "451 later", 451)]
    [InlineData("RCPT", "550 no such user", 550)]
    [InlineData("DATA", "452 full", 452)]
    [InlineData(".", "554 spam", 554)]
    public async Task Refusal_is_a_failed_delivery_with_the_reply_as_response(string at, string reply, int status)
    {
        await using var server = new MailServer();
        server.Replies[at] = reply;
        var attempt = await SendAsync(To(server));
        Assert.Equal((DeliveryStatus.Failed, (AttemptError?)null), (attempt.Status, attempt.Error));
        Assert.Equal(status, attempt.Response!.Status);
        Assert.Contains(reply[4..], attempt.Text());
    }

    [Fact]
    public async Task Wrong_password_is_a_failed_delivery()
    {
        await using var server = new MailServer { OffersSignIn = true };
        server.Replies["AUTH"] = "535 no";
        var attempt = await SendAsync(To(server) with { Username = "user", Password = "hunter2-is-long" });
        Assert.Equal((DeliveryStatus.Failed, 535), (attempt.Status, attempt.Response!.Status));
        Assert.Empty(server.Messages);
    }

    [Theory]
    [InlineData("greeting", "hello there")]
    [InlineData("greeting", "HTTP/1.1 200 OK")]
    [InlineData("EHLO", "250-half\r\n999 odd")]
    [InlineData("DATA", "250 I take nothing")]
    public async Task Garbage_is_an_invalid_response(string at, string reply)
    {
        await using var server = new MailServer();
        server.Replies[at] = reply;
        var attempt = await SendAsync(To(server), limits: Sending.Short);
        Assert.Equal(DeliveryStatus.Failed, attempt.Status);
        Assert.True(
            attempt.Error is { Code: AttemptErrorCode.InvalidResponse or AttemptErrorCode.Timeout }
                || attempt.Response is { Status: >= 400 },
            $"{attempt.Error} {attempt.Response}"
        );
        Assert.NotEqual(AttemptErrorCode.Internal, attempt.Error?.Code);
    }

    public static TheoryData<string, Func<Stream, CancellationToken, Task>, AttemptErrorCode> Hostile =>
        new()
        {
            { "never greets", static (_, ct) => Task.Delay(-1, ct), AttemptErrorCode.Timeout },
            {
                "drips its greeting",
                static async (stream, ct) =>
                {
                    await stream.WriteAsync("220-"u8.ToArray(), ct);
                    while (true)
                    {
                        await stream.WriteAsync("x"u8.ToArray(), ct);
                        await Task.Delay(20, ct);
                    }
                },
                AttemptErrorCode.Timeout
            },
            {
                "greets without end",
                static async (stream, ct) =>
                {
                    byte[] line = [.. "220-"u8, .. new byte[4000].Select(_ => (byte)'x'), .. "\r\n"u8];
                    while (true)
                        await stream.WriteAsync(line, ct);
                },
                AttemptErrorCode.InvalidResponse
            },
            {
                "says one endless line",
                static async (stream, ct) =>
                {
                    byte[] line = [.. new byte[4000].Select(_ => (byte)'2')];
                    while (true)
                        await stream.WriteAsync(line, ct);
                },
                AttemptErrorCode.InvalidResponse
            },
            { "closes at once", static (_, _) => Task.CompletedTask, AttemptErrorCode.ConnectionClosed },
            {
                "closes after its greeting",
                static async (stream, ct) => await stream.WriteAsync("220 hello\r\n"u8.ToArray(), ct),
                AttemptErrorCode.ConnectionClosed
            },
        };

    [Theory]
    [MemberData(nameof(Hostile))]
    public async Task Hostile_server_ends_in_the_closed_vocabulary(
        string what,
        Func<Stream, CancellationToken, Task> speak,
        AttemptErrorCode code
    )
    {
        await using var server = new MailServer(speak);
        var attempt = await SendAsync(To(server), limits: Sending.Short);
        Assert.True(DeliveryStatus.Failed == attempt.Status, what);
        // A close with bytes unread is a reset.
        Assert.True(
            attempt.Error!.Code == code
                || (code == AttemptErrorCode.ConnectionClosed && attempt.Error.Code == AttemptErrorCode.ConnectionReset),
            $"{what}: {attempt.Error}"
        );
        Assert.Null(attempt.Response);
    }

    [Fact]
    public async Task Server_that_never_answers_the_message_is_a_timeout_in_wait_and_nothing_is_sent_twice()
    {
        await using var server = new MailServer();
        server.Replies["."] = "250-and"; // the reply's end never comes
        var attempt = await SendAsync(To(server), limits: Sending.Short);
        Assert.Equal((AttemptErrorCode.Timeout, AttemptPhase.Wait), (attempt.Error!.Code, attempt.Error.Phase));
        Assert.Single(server.Messages);
    }

    [Fact]
    public async Task Server_that_says_no_farewell_has_the_message_all_the_same()
    {
        await using var server = new MailServer();
        server.Replies["QUIT"] = "221-wait";
        Assert.Equal(DeliveryStatus.Succeeded, (await SendAsync(To(server))).Status);
    }

    [Theory]
    [InlineData(null, "a@example.com", "Smtp:Host")]
    [InlineData("127.0.0.1", null, "Smtp:To")]
    public async Task Without_its_settings_an_email_is_blocked_and_says_which(string? host, string? to, string setting)
    {
        var attempt = await SendAsync(new(host, 1, From: "a@example.com", To: to));
        Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.NotConfigured), (attempt.Status, attempt.Error!.Code));
        Assert.Contains(setting, attempt.Error.Message);
    }

    [Fact]
    public async Task Receivers_of_the_step_count_where_the_setting_lets_them()
    {
        await using var server = new MailServer();
        var limits = new EngineLimits { EmailAllowTo = ["*@example.org", "boss@example.com"] };
        Assert.Equal(
            DeliveryStatus.Succeeded,
            (await SendAsync(To(server), """{"to":["a@example.org","boss@example.com"]}""", limits)).Status
        );
        Assert.Equal(["RCPT TO:<a@example.org>", "RCPT TO:<boss@example.com>"], server.Commands.Where(c => c.StartsWith("RCPT")));

        var refused = await SendAsync(To(server), """{"to":["a@example.org","x@elsewhere.example"]}""", limits);
        Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy), (refused.Status, refused.Error!.Code));
        Assert.Contains("x@elsewhere.example", refused.Error.Message);
        Assert.Contains("Smtp:AllowTo", refused.Error.Message);
        Assert.Single(server.Messages);
    }

    [Fact]
    public async Task Mail_server_is_under_the_egress_rules_as_any_destination()
    {
        await using var server = new MailServer();
        var attempt = await SendAsync(To(server), egress: EgressPolicy.Default);
        Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy), (attempt.Status, attempt.Error!.Code));
        Assert.Empty(server.Commands);
    }

    [Fact]
    public async Task Resend_has_the_same_message_id()
    {
        await using var server = new MailServer();
        var delivery = Sending.DeliveryOf(Request(Mail));
        await SendAsync(To(server), delivery);
        await SendAsync(To(server), delivery);
        Assert.All(server.Messages, message => Assert.Contains($"Message-Id: <{delivery.Id}@example.com>", message));
        Assert.Equal(2, server.Messages.Count);
    }

    [Fact]
    public async Task Host_may_be_an_ipv6_address()
    {
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        var attempt = await SendAsync(new("::1", ((IPEndPoint)socket.LocalEndPoint!).Port, From: "a@example.com", To: "a@example.com"));
        Assert.Equal(AttemptErrorCode.ConnectRefused, attempt.Error!.Code);
    }

    [Fact]
    public async Task Port_that_nobody_listens_on_is_connect_refused()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var attempt = await SendAsync(
            new("127.0.0.1", ((IPEndPoint)socket.LocalEndPoint!).Port, From: "a@example.com", To: "a@example.com")
        );
        Assert.Equal((AttemptErrorCode.ConnectRefused, AttemptPhase.Connect), (attempt.Error!.Code, attempt.Error.Phase));
    }
}
