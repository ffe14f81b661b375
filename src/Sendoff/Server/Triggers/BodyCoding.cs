using System.Buffers;
using System.IO.Compression;

namespace Sendoff.Server.Triggers;

/// <summary>Decodes the content coding of a request's body (RFC 9110, 8.4), within the limit of a body.</summary>
internal static class BodyCoding
{
    const int MaxLayers = 2;

    public static bool IsCoded(HttpRequest request) => request.Headers.ContentEncoding.Count > 0;

    /// <summary>Refuses a body with a content coding where none is decoded. Bodies of the API are small, and an encoded one is neither JSON
    /// nor a ZIP.</summary>
    public static ValueTask<object?> RefuseAsync(EndpointFilterInvocationContext invocation, EndpointFilterDelegate next)
    {
        string named = invocation.HttpContext.Request.Headers.ContentEncoding.ToString();
        return named.Length == 0 || named.Equals("identity", StringComparison.OrdinalIgnoreCase)
            ? next(invocation)
            : ValueTask.FromResult<object?>(
                new Problem(
                    StatusCodes.Status415UnsupportedMediaType,
                    "Unsupported content encoding",
                    $"The content encoding is '{named}'. The API does not accept compressed bodies; send it uncompressed, "
                        + "without the header content-encoding."
                )
            );
    }

    public static Problem TooLarge(int limit) =>
        Problem.TooLarge($"The body is over {limit:N0} bytes, the limit of a trigger (setting Triggers:MaxBodyBytes).");

    /// <summary>Decodes the body.</summary>
    /// <param name="problem">The error response; null if the body was decoded.</param>
    public static byte[] Decode(HttpRequest request, ReadOnlySequence<byte> body, int limit, out Problem? problem)
    {
        string named = request.Headers.ContentEncoding.ToString();
        string[] codings =
        [
            .. named
                .ToLowerInvariant()
                .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                .Where(static c => c != "identity"),
        ];
        problem = null;
        if (codings.Length > MaxLayers || !codings.All(static c => c is "gzip" or "x-gzip" or "deflate" or "br"))
        {
            problem = new(
                StatusCodes.Status415UnsupportedMediaType,
                "Unsupported content encoding",
                $"The content encoding '{named}' is not supported. Use gzip, deflate or br, or send the body uncompressed."
            );
            return [];
        }
        byte[] bytes = body.ToArray();
        foreach (string coding in codings.Reverse())
        {
            try
            {
                bytes = Undo(coding, bytes, limit);
            }
            catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException)
            {
                problem = Problem.BadInput($"The body is not valid {coding}, although its content-encoding says so.");
                return [];
            }
            if (bytes.Length <= limit)
                continue;
            problem = TooLarge(limit);
            return [];
        }
        return bytes;
    }

    /// <summary>Stops one byte over the limit, whatever the size of the decoded body.</summary>
    static byte[] Undo(string coding, byte[] bytes, int limit)
    {
        var source = new MemoryStream(bytes);
        using Stream plain = coding switch
        {
            "br" => new BrotliStream(source, CompressionMode.Decompress),
            // "deflate" means zlib, but some clients send raw deflate. The first two bytes distinguish them.
            "deflate" when bytes is [var method, var flags, ..] && (method & 0x0f) == 8 && (method << 8 | flags) % 31 == 0 =>
                new ZLibStream(source, CompressionMode.Decompress),
            "deflate" => new DeflateStream(source, CompressionMode.Decompress),
            _ => new GZipStream(source, CompressionMode.Decompress),
        };
        byte[] all = new byte[limit + 1];
        return all[..plain.ReadAtLeast(all, all.Length, throwOnEndOfStream: false)];
    }
}
