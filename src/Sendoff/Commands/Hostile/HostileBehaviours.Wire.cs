using static Sendoff.Commands.Hostile.HostileReport;
using static Sendoff.Engine.Model.AttemptErrorCode;
using static Sendoff.Engine.Model.AttemptPhase;

namespace Sendoff.Commands.Hostile;

/// <summary>Wrong framing, connections that end, and other protocols.</summary>
static partial class HostileBehaviours
{
    static HostileBehaviour[] Framings =>
        [
            new(
                "chunk-without-size",
                "sends a chunk whose size is no number",
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
                "sends a chunk that is longer than it says",
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
                "closes after a chunk that is not the last",
                Fails(ConnectionClosed, Read, 200),
                RespondAndClose(Chunks + "5\r\nhello\r\n")
            ),
            new(
                "length-too-large",
                "says 100 bytes, sends 5 and closes",
                Fails(ConnectionClosed, Read, 200),
                RespondAndClose(Text + "content-length: 100\r\n\r\nhello")
            ),
            new(
                "length-too-small",
                "says 5 bytes and sends more",
                Answered(200, keeps: false),
                Respond(Text + "content-length: 5\r\n\r\nhello and more")
            ),
            new(
                "two-lengths",
                "says two different lengths",
                Fails(InvalidResponse, Wait),
                Respond(Text + "content-length: 5\r\ncontent-length: 6\r\n\r\nhello")
            ),
            new(
                "length-and-chunks",
                "says a length and sends chunks",
                Answered(200, keeps: false),
                Respond(Text + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            ),
            new("negative-length", "says a length of -5", Fails(InvalidResponse, Wait), Respond(Text + "content-length: -5\r\n\r\nhello")),
            new(
                "bare-line-feeds",
                "ends its header lines with a line feed alone",
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
                "sends a body in answer to HEAD",
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
                "closes a connection that it kept as the next request arrives",
                Fails(ConnectionClosed, Wait),
                Later(RespondAndClose(""))
            )
            {
                Before = 1,
            },
            new(
                "kept-reset",
                "resets a connection that it kept as the next request arrives",
                Fails(ConnectionReset, Wait),
                Later(RespondAndReset(""))
            )
            {
                Before = 1,
            },
            new(
                "early-413",
                "answers a large upload (20 MB) with 413, unread",
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
                "answers a large upload (20 MB) with 413, unread, and closes",
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
                "answers a status line with a status that is no number",
                Fails(InvalidResponse, Wait),
                Respond("HTTP/1.1 abc OK\r\n\r\n")
            ),
            new("other-protocol", "answers in another protocol (SSH)", Fails(InvalidResponse, Wait), Respond("SSH-2.0-OpenSSH_9.2\r\n")),
            new("http-0.9", "answers as HTTP/0.9, with a body alone", Fails(InvalidResponse, Wait), RespondAndClose("<html>hello</html>")),
            new(
                "switching-protocols",
                "switches protocols unasked",
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
