using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using static Sendoff.Commands.Hostile.HostileReport;
using static Sendoff.Engine.Model.AttemptErrorCode;
using static Sendoff.Engine.Model.AttemptPhase;

namespace Sendoff.Commands.Hostile;

/// <summary>TLS, redirects, cookies and text.</summary>
static partial class HostileBehaviours
{
    const string Address = "127.0.0.1";

    static HostileBehaviour[] Sessions =>
        [
            Session(
                "tls-self-signed",
                "presents a self-signed certificate",
                "untrusted",
                new("https", Certificate: _ => ReceiverCertificates.SelfSigned(Address))
            ),
            Session(
                "tls-expired",
                "presents an expired certificate",
                "expired",
                new("https", Certificate: authority => authority.Issue(Address, expired: true))
            ),
            Session(
                "tls-wrong-host",
                "presents a certificate for another host",
                "wrong host",
                new("https", Certificate: authority => authority.Issue("other.invalid"))
            ),
            Session(
                "tls-http2-only",
                "accepts only HTTP/2 (ALPN)",
                "protocol",
                new("https", Certificate: Good, Protocol: SslApplicationProtocol.Http2)
            ),
            Session(
                "tls-plain",
                "speaks HTTP on a TLS port",
                "protocol",
                new("https", Raw: connection => AnswerRawAsync(connection, "HTTP/1.1 400 Bad Request\r\n\r\n"))
            ),
            Raw(
                "tls-stalled",
                "accepts the connection and never responds to the handshake",
                TimesOut(Tls),
                new("https", connection => connection.ReadToEndAsync())
            ),
            Raw(
                "tls-close",
                "closes in the middle of the handshake",
                Fails(ConnectionClosed, Tls),
                new("https", connection => connection.ReadSomeAsync())
            ),
            // RFC 8446 6: a TLS server responds to a plain request with a fatal alert.
            Raw(
                "plain-tls",
                "speaks TLS on an HTTP port",
                Fails(InvalidResponse, Wait),
                new("http", connection => AnswerRawAsync(connection, "\u0015\u0003\u0003\0\u0002\u0002\u0046"))
            ),
            new(
                "tls-dripping-body",
                "sends a body a byte at a time, over TLS",
                TimesOut(Read, 200),
                x => x.DripAsync(Text + "content-length: 1000\r\n\r\n", "a")
            )
            {
                Listener = new("https", Certificate: Good),
            },
            new(
                "tls-http2-goaway",
                "speaks HTTP/2 over TLS although it was not offered: SETTINGS, GOAWAY",
                Fails(InvalidResponse, Wait),
                Respond(Settings + GoAway)
            )
            {
                Listener = new("https", Certificate: Good),
            },
            new(
                "tls-http2-reset",
                "speaks HTTP/2 over TLS although it was not offered: SETTINGS, RST_STREAM",
                Fails(InvalidResponse, Wait),
                Respond(Settings + ResetStream)
            )
            {
                Listener = new("https", Certificate: Good),
            },
        ];

    static X509Certificate2 Good(ReceiverCertificates authority) => authority.Issue(Address);

    static HostileBehaviour Session(string name, string does, string says, HostileListener listener) =>
        Raw(name, does, Fails(TlsFailed, Tls, says: says), listener);

    static HostileBehaviour Raw(string name, string does, HostileReport reports, HostileListener listener) =>
        new(name, does, reports, Respond("")) { Listener = listener };

    static async Task AnswerRawAsync(ReceiverConnection connection, string answer)
    {
        await connection.ReadSomeAsync();
        await connection.WriteAsync(answer);
        await connection.ReadToEndAsync();
    }

    static HostileBehaviour[] Redirects =>
        [
            Redirect("redirect-301", "to another path", 301, "/elsewhere"),
            Redirect("redirect-302", "to itself", 302, "/redirect-302"),
            Redirect("redirect-303", "to a GET of another path", 303, "/elsewhere"),
            Redirect("redirect-307", "to the cloud's metadata address", 307, "http://169.254.169.254/latest/meta-data/"),
            Redirect("redirect-308", "across schemes", 308, "https://127.0.0.1/"),
            Redirect("redirect-file", "to a file", 302, "file:///etc/passwd"),
            new(
                "cookies",
                "sets a cookie, and responds with 400 if it comes back",
                Answered(200),
                x =>
                    x.RespondAsync(
                        x.Head.Contains("\r\ncookie:", StringComparison.OrdinalIgnoreCase)
                            ? "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
                            : Text + "set-cookie: session=1; path=/\r\ncontent-length: 2\r\n\r\nok"
                    )
            )
            {
                Before = 1,
            },
        ];

    static HostileBehaviour Redirect(string name, string to, int status, string location) =>
        new(
            name,
            $"redirects {to} ({status})",
            Answered(status),
            Respond($"HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
        );

    static HostileBehaviour[] Texts =>
        [
            new(
                "wrong-charset",
                "declares UTF-8 and sends Windows-1252",
                Answered(200) with
                {
                    AsBytes = true,
                },
                Of("text/plain; charset=utf-8", Encoding.Latin1.GetBytes("caf\u00e9"))
            ),
            new(
                "unknown-charset",
                "declares an unknown charset",
                Answered(200),
                Of("text/plain; charset=nonsense", Encoding.UTF8.GetBytes("café"))
            ),
            new("forbidden-charset", "declares UTF-7", Answered(200), Of("text/plain; charset=utf-7", Encoding.UTF8.GetBytes("+AOk-"))),
            new(
                "utf-16",
                "sends UTF-16 and declares it",
                Answered(200),
                Of("text/plain; charset=utf-16", [0xff, 0xfe, .. Encoding.Unicode.GetBytes("café")])
            ),
            new(
                "broken-utf-16",
                "sends UTF-16 with half a character in the middle",
                Answered(200) with
                {
                    AsBytes = true,
                },
                Of("text/plain; charset=utf-16le", [0x00, 0xd8, 0x61, 0x00])
            ),
            new(
                "long-utf-8",
                "sends 96 KiB of UTF-8 with a character across the limit of 64 KiB",
                Cut(keeps: true),
                Of("text/plain", Encoding.UTF8.GetBytes(Many("€", 32 * 1024)))
            ),
            new(
                "long-utf-16",
                "sends 128 KiB of UTF-16 with a character across the limit of 64 KiB",
                Cut(keeps: true),
                Of("text/plain; charset=utf-16le", Encoding.Unicode.GetBytes("a" + Many("😀", 32 * 1024)))
            ),
            new(
                "long-windows-1251",
                "sends 50,000 bytes of Windows-1251, more than 64 KiB as UTF-8",
                Cut(keeps: true),
                Of("text/plain; charset=windows-1251", Filled(50_000, 0xcf))
            ),
            new(
                "false-gzip",
                "declares gzip and sends text",
                Answered(200),
                Respond(Text + "content-encoding: gzip\r\ncontent-length: 5\r\n\r\nhello")
            ),
            new(
                "unknown-coding",
                "declares an unknown content coding",
                Answered(200),
                Respond(Text + "content-encoding: nonsense\r\ncontent-length: 5\r\n\r\nhello")
            ),
        ];

    static Func<HostileExchange, Task> Of(string type, byte[] body) => Respond($"HTTP/1.1 200 OK\r\ncontent-type: {type}\r\n", () => body);

    static string Many(string text, int times) => string.Concat(Enumerable.Repeat(text, times));
}
