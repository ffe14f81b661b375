using System.Text;
using static Sendoff.Commands.Hostile.HostileReport;
using static Sendoff.Engine.Model.AttemptErrorCode;
using static Sendoff.Engine.Model.AttemptPhase;

namespace Sendoff.Commands.Hostile;

/// <summary>Receivers that are too slow or send too much.</summary>
static partial class HostileBehaviours
{
    const int LargeUpload = 20_000_000;

    static HostileBehaviour[] Times =>
        [
            new("silence", "reads the request and never responds", TimesOut(Wait), x => x.ReadBodyAsync()),
            new("stalled-headers", "stops in the middle of a header line", TimesOut(Wait), Respond("HTTP/1.1 200 OK\r\nx-a:")),
            new(
                "dripping-headers",
                "sends endless headers, a byte at a time",
                TimesOut(Wait),
                x => x.DripAsync("HTTP/1.1 200 OK\r\nx-a: ", "a")
            ),
            new(
                "stalled-body",
                "sends 10 bytes of a body of 1,000 and stops",
                TimesOut(Read, 200),
                Respond(Text + "content-length: 1000\r\n\r\n0123456789")
            ),
            new(
                "dripping-body",
                "sends a body a byte at a time",
                TimesOut(Read, 200),
                x => x.DripAsync(Text + "content-length: 1000\r\n\r\n", "a")
            ),
            new("dripping-chunks", "sends endless one-byte chunks, slowly", TimesOut(Read, 200), x => x.DripAsync(Chunks, "1\r\na\r\n")),
            new("unread-upload", "neither reads a large upload (20 MB) nor responds", TimesOut(Write), x => x.IgnoreAsync())
            {
                RequestBytes = LargeUpload,
                IsDeaf = true,
            },
            new("slow-dns", "has a name for which the resolver never responds", TimesOut(Dns), Respond("")) { Host = "slow.invalid" },
        ];

    static HostileBehaviour[] Sizes =>
        [
            new("endless-body", "sends an endless body", Cut(), x => x.RespondEndlesslyAsync(Text + "\r\n", Filled(64 * 1024))),
            new(
                "endless-chunks",
                "sends endless chunks",
                Cut(),
                x => x.RespondEndlesslyAsync(Chunks, [.. Ascii("8000\r\n"), .. Filled(0x8000), .. Ascii("\r\n")])
            ),
            new(
                "endless-small-chunks",
                "sends endless one-byte chunks",
                Cut(),
                x => x.RespondEndlesslyAsync(Chunks, Repeated("1\r\na\r\n", 8_000))
            ),
            new("gzip-bomb", "sends 256 MiB of one letter as gzip", Cut(), Respond(Json + "content-encoding: gzip\r\n", () => Bombs.Gzip)),
            new(
                "deflate-bomb",
                "sends 256 MiB of one letter as deflate",
                Cut(),
                Respond(Json + "content-encoding: deflate\r\n", () => Bombs.Deflate)
            ),
            new(
                "brotli-bomb",
                "sends 256 MiB of one letter as Brotli, with a window of 16 MiB",
                Cut(),
                Respond(Json + "content-encoding: br\r\n", () => Bombs.Brotli)
            ),
            new(
                "zstd-bomb",
                "sends 256 MiB of one letter as Zstandard, with a window of 8 MiB",
                Cut(),
                Respond(Json + "content-encoding: zstd\r\n", () => Bombs.Zstd)
            ),
            new(
                "zstd-wide-window",
                "sends Zstandard that needs a window of 1 GiB",
                Answered(200) with
                {
                    AsBytes = true,
                },
                Respond(Json + "content-encoding: zstd\r\n", () => Bombs.ZstdWide)
            ),
            new(
                "large-headers",
                "sends 100 KB of headers",
                Fails(ResponseHeadersTooLarge, Wait),
                Respond($"{Text}x-a: {new string('a', 100_000)}\r\ncontent-length: 0\r\n\r\n")
            ),
            new(
                "many-headers",
                "sends 5,000 header lines",
                Fails(ResponseHeadersTooLarge, Wait),
                x => x.RespondAsync((byte[])[.. Ascii(Text), .. Repeated("a: b\r\n", 5_000), .. Ascii("\r\n")])
            ),
            new(
                "interim-storm",
                "sends `100 Continue` endlessly",
                Fails(InvalidResponse, Wait),
                x => x.RespondEndlesslyAsync("", Repeated("HTTP/1.1 100 Continue\r\n\r\n", 100))
            ),
            new(
                "endless-chunk-line",
                "sends an endless chunk extension",
                Fails(InvalidResponse, Read, 200),
                x => x.RespondEndlesslyAsync(Chunks + "5;", Filled(16 * 1024))
            ),
            new(
                "endless-trailers",
                "sends endless trailers",
                Fails(InvalidResponse, Read, 200),
                x => x.RespondEndlesslyAsync(Chunks + "0\r\n", Repeated("a: b\r\n", 1_000))
            ),
        ];

    static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    static byte[] Filled(int length, byte with = (byte)'a')
    {
        byte[] filled = new byte[length];
        filled.AsSpan().Fill(with);
        return filled;
    }

    static byte[] Repeated(string text, int times) => Ascii(string.Concat(Enumerable.Repeat(text, times)));
}
