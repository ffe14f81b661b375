using System.IO.Enumeration;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using MailKit.Net.Smtp;
using MailKit.Security;
using MimeKit;
using Header = Sendoff.Engine.Model.Header;

namespace Sendoff.Engine.Deliveries;

/// <summary>Encryption of the session with the mail server.</summary>
public enum SmtpSecurity
{
    None,
    StartTls,
    Tls,
}

/// <summary>The mail server, the sender and the default recipient. Settings <c>Smtp:*</c>.</summary>
/// <param name="Security">Null is TLS on port 465, otherwise STARTTLS.</param>
public sealed record SmtpOptions(
    string? Host = null,
    int Port = 587,
    string? Username = null,
    string Password = "",
    string? From = null,
    string? To = null,
    SmtpSecurity? Security = null
)
{
    public override string ToString() => Host is null ? "no mail server" : $"{Host}:{Port}";
}

/// <summary>Makes one attempt for an email (F7), with the same deadline as any attempt. The request's body is JSON: subject, text, html,
/// to.</summary>
/// <remarks>(1) create the message  (2) connect to the checked address  (3) greeting, TLS, sign in  (4) send the message  (5) the reply is
/// the response. One session sends one message, once (C2), without retries.</remarks>
public sealed class EmailSender(
    DeliverySender frame,
    SmtpOptions smtp,
    EngineLimits limits,
    TimeProvider time,
    X509Certificate2Collection? roots = null
)
{
    /// <summary>Whether a text is one address, with or without a name.</summary>
    public static bool IsAddress(string text) => ReadAddress(text) is not null;

    static readonly TimeSpan quitPatience = TimeSpan.FromMilliseconds(500);

    readonly TlsHandshake tls = roots is null ? frame.Tls : new(roots);

    /// <inheritdoc cref="AttemptMaker"/>
    public Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs, CancellationToken shutdown)
    {
        // C8: a server that repeats the credentials must not put the password into the record.
        if (smtp.Password.Length > 0)
            delivery = delivery with { Credentials = [.. delivery.Credentials, smtp.Password] };
        return frame.AttemptAsync(delivery, number, queueMs, ExchangeAsync, shutdown);
    }

    async Task ExchangeAsync(Delivery delivery, AttemptProgress progress, CancellationToken ct)
    {
        // (1)
        var message = BuildMessage(delivery);
        string bracketed = smtp.Host!.Contains(':') && smtp.Host[0] != '[' ? $"[{smtp.Host}]" : smtp.Host;
        if (!HttpSyntax.TryParseHost(bracketed, out string? host, out var literal))
            throw new WireException(
                AttemptErrorCode.NotConfigured,
                $"the setting Smtp:Host is '{smtp.Host}', which is not a host name or an IP address"
            );
        var security = smtp.Security ?? (smtp.Port == 465 ? SmtpSecurity.Tls : SmtpSecurity.StartTls);

        // (2)
        var connection = await frame
            .DialAsync(new(IsTls: false, host, smtp.Port, literal), delivery.WorkflowId, progress, ct)
            .ConfigureAwait(false);
        using var abort = ct.UnsafeRegister(static state => ((HttpConnection)state!).Abort(), connection);
        var session = new SmtpSession(connection.Stream, progress, host, limits.SmtpReplyBytes);
        using var client = new StrictSmtpClient(tls, host) { LocalDomain = DomainOf((MailboxAddress)message.From[0]) };
        try
        {
            // (3)
            if (security == SmtpSecurity.Tls)
                progress.Enter(AttemptPhase.Tls, $"making a TLS session with {host}");
            else
                progress.Doing = $"waiting for the greeting of {host}";
            await client
                .ConnectAsync(
                    session,
                    host,
                    smtp.Port,
                    security switch
                    {
                        SmtpSecurity.Tls => SecureSocketOptions.SslOnConnect,
                        SmtpSecurity.StartTls => SecureSocketOptions.StartTls,
                        _ => SecureSocketOptions.None,
                    },
                    ct
                )
                .ConfigureAwait(false);
            progress.Doing = $"signing in at {host}";
            if (smtp.Username is { } user)
                await client.AuthenticateAsync(user, smtp.Password, ct).ConfigureAwait(false);
            // (4)
            progress.RequestHeaders =
            [
                .. message.Headers.Concat(message.Body!.Headers).Select(static h => new Header(h.Field.ToLowerInvariant(), h.Value)),
            ];
            session.BeginMessage();
            string reply = await client.SendAsync(message, ct).ConfigureAwait(false);
            // (5)
            progress.Answer = Reply(250, reply);
        }
        catch (SmtpCommandException e) when ((int)e.StatusCode >= 400)
        {
            // Like a status of HTTP, a refusal is a response and not an error (C3).
            progress.Answer = Reply((int)e.StatusCode, e.Mailbox is { } mailbox ? $"{e.Message} ({mailbox.Address})" : e.Message);
            return;
        }
        catch (AuthenticationException e)
        {
            progress.Answer = Reply(535, e.Message);
            return;
        }
        catch (Exception e) when (!ct.IsCancellationRequested && Explain(e, client, session, progress.Phase, host) is { } wire)
        {
            throw wire;
        }
        await QuitAsync(client, ct).ConfigureAwait(false);
    }

    // The server has accepted the message, so errors of QUIT are ignored.
    async Task QuitAsync(SmtpClient client, CancellationToken ct)
    {
        using var patience = new CancellationTokenSource(quitPatience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
        try
        {
            await client.DisconnectAsync(quit: true, both.Token).ConfigureAwait(false);
        }
        catch (Exception) { }
    }

    static WireException? Explain(Exception e, StrictSmtpClient client, SmtpSession session, AttemptPhase phase, string host) =>
        e switch
        {
            WireException => null,
            SslHandshakeException when client.Refusal is { } refusal => new(
                AttemptErrorCode.TlsFailed,
                $"the TLS handshake with {host} failed: {refusal}",
                e
            ),
            SslHandshakeException when session.HasEnded => new(
                AttemptErrorCode.ConnectionClosed,
                $"the mail server {host} closed the connection during the TLS handshake",
                e
            ),
            SslHandshakeException => new(
                AttemptErrorCode.TlsFailed,
                $"the TLS handshake with {host} failed: protocol: {(e.InnerException ?? e).Message}",
                e
            ),
            NotSupportedException when !client.IsConnected => new(
                AttemptErrorCode.TlsFailed,
                $"the mail server {host} does not offer STARTTLS; set Smtp:Security to tls, or to none on a trusted network",
                e
            ),
            NotSupportedException when phase >= AttemptPhase.Write => new(
                AttemptErrorCode.InvalidResponse,
                $"the mail server {host} does not accept this message: {e.Message}",
                e
            ),
            NotSupportedException => new(
                AttemptErrorCode.InvalidResponse,
                $"the mail server {host} offers no supported way to sign in; unset Smtp:Username if it needs none",
                e
            ),
            SmtpCommandException or SmtpProtocolException when !session.HasEnded => new(
                AttemptErrorCode.InvalidResponse,
                $"the mail server {host} sent a response that is not SMTP",
                e
            ),
            SmtpProtocolException => new(
                AttemptErrorCode.ConnectionClosed,
                $"the mail server {host} closed the connection before it responded",
                e
            ),
            _ => null,
        };

    static AttemptResponse Reply(int status, string text)
    {
        byte[] body = Encoding.UTF8.GetBytes(text.ReplaceLineEndings("\n"));
        return new(status, "SMTP", [], body, BodyIsText: true, body.Length, Truncated: false);
    }

    MimeMessage BuildMessage(Delivery delivery)
    {
        var asked = JsonElement.Parse(delivery.Request.Body.Span);
        if (smtp.Host is null)
            throw Missing("no mail server is set", "Smtp:Host");
        if (ReadAddress(smtp.From ?? smtp.Username ?? smtp.To) is not { } from)
            throw Missing("no sender address is set", "Smtp:From");
        var message = new MimeMessage { Subject = (TextOf(asked, "subject") ?? "").ReplaceLineEndings(" "), Date = time.GetUtcNow() };
        message.From.Add(from);
        foreach (var to in ReceiversOf(asked))
            message.To.Add(to);
        // The same for all attempts, so that a receiver can detect duplicates.
        message.MessageId = $"{delivery.Id}@{DomainOf(from)}";
        message.Body = new BodyBuilder { TextBody = TextOf(asked, "text"), HtmlBody = TextOf(asked, "html") }.ToMessageBody();
        return message;
    }

    /// <summary>The error in the body of an email; null if it is valid.</summary>
    internal static string? FaultOf(ReadOnlyMemory<byte> body)
    {
        const string fault = "an email that is not { subject, text, html, to }";
        if (!JsonSyntax.IsValue(body.Span))
            return fault;
        var reader = new Utf8JsonReader(body.Span, new JsonReaderOptions { MaxDepth = JsonSyntax.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return fault;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isTo = reader.ValueTextEquals("to");
            if (!isTo && !reader.ValueTextEquals("subject") && !reader.ValueTextEquals("text") && !reader.ValueTextEquals("html"))
                return fault;
            reader.Read();
            if (!(isTo ? IsTexts(ref reader) : reader.TokenType == JsonTokenType.String))
                return fault;
        }
        return null;
    }

    static bool IsTexts(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.String) { }
        return reader.TokenType == JsonTokenType.EndArray;
    }

    IEnumerable<MailboxAddress> ReceiversOf(JsonElement asked)
    {
        if (limits.EmailAllowTo.Count == 0 || !asked.TryGetProperty("to", out var to))
            return [ReadAddress(smtp.To) ?? throw Missing("no recipient address is set", "Smtp:To")];
        return [.. to.EnumerateArray().Select(address => Allowed(address.GetString()!))];
    }

    MailboxAddress Allowed(string address)
    {
        if (!limits.EmailAllowTo.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, address)))
            throw new WireException(
                AttemptErrorCode.BlockedByEgressPolicy,
                $"{address} matches none of Smtp:AllowTo; to write there, add {address} or *{address[address.LastIndexOf('@')..]} to that "
                    + "setting"
            );
        return ReadAddress(address)
            ?? throw new WireException(
                AttemptErrorCode.BlockedByEgressPolicy,
                $"{address} is not a valid email address; no connection was made"
            );
    }

    static MailboxAddress? ReadAddress(string? text) =>
        text is not null && text.Contains('@') && MailboxAddress.TryParse(text, out var address) ? address : null;

    static string DomainOf(MailboxAddress address) => address.Domain is { Length: > 0 } domain ? domain : "localhost";

    static string? TextOf(JsonElement asked, string name) => asked.TryGetProperty(name, out var value) ? value.GetString() : null;

    static WireException Missing(string what, string setting) =>
        new(
            AttemptErrorCode.NotConfigured,
            $"{what}: set {setting} (docs/operating.md, Email) and resend this delivery; no connection was made"
        );

    /// <summary>Validates certificates like HTTP deliveries.</summary>
    sealed class StrictSmtpClient : SmtpClient
    {
        public StrictSmtpClient(TlsHandshake tls, string host)
        {
            CheckCertificateRevocation = false;
            ServerCertificateValidationCallback = (_, certificate, chain, errors) =>
                (Refusal = tls.FindRefusal(host, certificate as X509Certificate2, chain, errors)) is null;
        }

        public string? Refusal { get; private set; }

        protected override SslClientAuthenticationOptions GetSslClientAuthenticationOptions(
            string host,
            RemoteCertificateValidationCallback callback
        )
        {
            var options = base.GetSslClientAuthenticationOptions(host, callback);
            options.CertificateChainPolicy = TlsHandshake.ChainPolicy();
            return options;
        }
    }
}
