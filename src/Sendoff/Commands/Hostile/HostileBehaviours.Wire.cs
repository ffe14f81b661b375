using static Sendoff.Commands.Hostile.HostileReport;
using static Sendoff.Engine.Model.AttemptErrorCode;
using static Sendoff.Engine.Model.AttemptPhase;

namespace Sendoff.Commands.Hostile;

/// <summary>Invalid framing, closed connections, and other protocols.</summary>
static partial class HostileBehaviours
{
    static HostileBehaviour[] Framings =>
        [
            new(
                "chunk-without-size",
                "sends a chunk whose size is not a number",
                Fails(InvalidResponse, Read, 200),
                Respond(Chunks + "x\r\nhello\r\n0\r\n\r\n")
            ),
            new(
                "chunk-of-a-huge-size",
                "sends a chunk size of 17 digits",
                Fails(InvalidResponse, Read, 200),
                Respond(Chunks + "fffffffffffffffff\r\nhello\r\n0\r\n\r\n")
            ),
            new(
                "chunk-without-end",
                "sends a chunk longer than its declared size",
                Fails(InvalidResponse, Read, 200),
                Respond(Chunks + "5\r\nhelloX\r\n0\r\n\r\n")
            ),
            new(
                "truncated-chunks",
                "closes in the middle of a chunk",
                Fails(ConnectionClosed, Read, 200),
                RespondAndClose(Chunks + "5\r\nhel")
            ),
            new(
                "no-last-chunk",
                "closes before the last chunk",
                Fails(ConnectionClosed, Read, 200),
                RespondAndClose(Chunks + "5\r\nhello\r\n")
            ),
            new(
                "length-too-large",
                "declares 100 bytes, sends 5 and closes",
                Fails(ConnectionClosed, Read, 200),
                RespondAndClose(Text + "content-length: 100\r\n\r\nhello")
            ),
            new(
                "length-too-small",
                "declares 5 bytes and sends more",
                Answered(200, keeps: false),
                Respond(Text + "content-length: 5\r\n\r\nhello and more")
            ),
            new(
                "two-lengths",
                "declares two different lengths",
                Fails(InvalidResponse, Wait),
                Respond(Text + "content-length: 5\r\ncontent-length: 6\r\n\r\nhello")
            ),
            new(
                "length-and-chunks",
                "declares a length and sends chunks",
                Answered(200, keeps: false),
                Respond(Text + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            ),
            new(
                "negative-length",
                "declares a length of -5",
                Fails(InvalidResponse, Wait),
                Respond(Text + "content-length: -5\r\n\r\nhello")
            ),
            new(
                "bare-line-feeds",
                "ends header lines with only a line feed",
                Fails(InvalidResponse, Wait),
                Respond("HTTP/1.1 200 OK\ncontent-length: 5\n\nhello")
            ),
            new(
                "folded-header",
                "folds a header line",
                Fails(InvalidResponse, Wait),
                Respond("HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n")
            ),
            new(
                "body-on-204",
                "sends a body with 204",
                Answered(204, keeps: false),
                Respond("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello")
            ),
            new(
                "body-on-304",
                "sends a body with 304",
                Answered(304, keeps: false),
                Respond("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello")
            ),
            new(
                "body-on-head",
                "sends a body in response to HEAD",
                Answered(200, keeps: false),
                Respond(Text + "content-length: 5\r\n\r\nhello")
            )
            {
                Method = "HEAD",
            },
        ];

    static HostileBehaviour[] Connections =>
        [
            new("close", "reads the request and closes", Fails(ConnectionClosed, Wait), RespondAndClose("")),
            new("reset", "reads the request and resets", Fails(ConnectionReset, Wait), RespondAndReset("")),
            new(
                "close-in-headers",
                "closes in the middle of the headers",
                Fails(ConnectionClosed, Wait),
                RespondAndClose("HTTP/1.1 200 OK\r\nx-a:")
            ),
            new(
                "reset-in-headers",
                "resets in the middle of the headers",
                Fails(ConnectionReset, Wait),
                RespondAndReset("HTTP/1.1 200 OK\r\nx-a:")
            ),
            new(
                "reset-in-body",
                "resets in the middle of the body",
                Fails(ConnectionReset, Read, 200),
                RespondAndReset(Text + "content-length: 5\r\n\r\nhel")
            ),
            new(
                "kept-close",
                "closes a kept-alive connection when the next request arrives",
                Fails(ConnectionClosed, Wait),
                Later(RespondAndClose(""))
            )
            {
                Before = 1,
            },
            new(
                "kept-reset",
                "resets a kept-alive connection when the next request arrives",
                Fails(ConnectionReset, Wait),
                Later(RespondAndReset(""))
            )
            {
                Before = 1,
            },
            new(
                "early-413",
                "responds to a large upload (20 MB) with 413 without reading it",
                Answered(413, keeps: false),
                async x =>
                {
                    await x.WriteAsync(LargeHead + "\r\ntoo large");
                    await x.IgnoreAsync();
                }
            )
            {
                RequestBytes = LargeUpload,
                IsDeaf = true,
            },
            new(
                "early-413-and-close",
                "responds to a large upload (20 MB) with 413 without reading it, and closes",
                Answered(413, keeps: false),
                async x =>
                {
                    await x.WriteAsync(LargeHead + "connection: close\r\n\r\ntoo large");
                    x.Close();
                }
            )
            {
                RequestBytes = LargeUpload,
            },
            new(
                "reset-in-upload",
                "resets in the middle of a large upload (20 MB)",
                Fails(ConnectionReset, Write),
                x =>
                {
                    x.Reset();
                    return Task.CompletedTask;
                }
            )
            {
                RequestBytes = LargeUpload,
            },
        ];

    // HTTP/2 (RFC 9113 4.1): length of 24 bits, type, flags, stream, payload.
    const string Settings = "\0\0\0\u0004\0\0\0\0\0";
    const string GoAway = "\0\0\u0008\u0007\0\0\0\0\0\0\0\0\0\0\0\0\u000d";
    const string ResetStream = "\0\0\u0004\u0003\0\0\0\0\u0001\0\0\0\u000d";

    static HostileBehaviour[] Protocols =>
        [
            new(
                "garbage",
                "sends a status line whose status is not a number",
                Fails(InvalidResponse, Wait),
                Respond("HTTP/1.1 abc OK\r\n\r\n")
            ),
            new("other-protocol", "responds in another protocol (SSH)", Fails(InvalidResponse, Wait), Respond("SSH-2.0-OpenSSH_9.2\r\n")),
            new("http-0.9", "responds as HTTP/0.9, with only a body", Fails(InvalidResponse, Wait), RespondAndClose("<html>hello</html>")),
            new(
                "switching-protocols",
                "switches protocols without being asked",
                Fails(InvalidResponse, Wait),
                Respond("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")
            ),
            new("http2-settings", "speaks HTTP/2 in plain text (h2c): SETTINGS", Fails(InvalidResponse, Wait), Respond(Settings)),
            new("http2-goaway", "speaks HTTP/2 in plain text: SETTINGS, GOAWAY", Fails(InvalidResponse, Wait), Respond(Settings + GoAway)),
            new(
                "http2-reset",
                "speaks HTTP/2 in plain text: SETTINGS, RST_STREAM",
                Fails(InvalidResponse, Wait),
                Respond(Settings + ResetStream)
            ),
        ];
}
