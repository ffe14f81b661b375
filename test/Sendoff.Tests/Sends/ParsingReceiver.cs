using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace Sendoff.Tests.Sends;

/// <summary>A request as Kestrel parsed it.</summary>
/// <param name="Headers">By lower-case name, a value a line.</param>
sealed record ParsedRequest(string Method, string Target, IReadOnlyDictionary<string, string[]> Headers, byte[] Body)
{
    public string Path => Target.Split('?')[0];

    /// <summary>The query's pieces as they stand; null when there is no question mark.</summary>
    public string[]? QueryPieces =>
        Target.IndexOf('?') is >= 0 and var mark ? [.. Target[(mark + 1)..].Split('&').Where(static piece => piece.Length > 0)] : null;

    public static IEnumerable<(string, string)> PairsOf(IEnumerable<string> pieces)
    {
        foreach (var pair in new QueryStringEnumerable("?" + string.Join('&', pieces)))
            yield return (pair.DecodeName().ToString(), pair.DecodeValue().ToString());
    }

    public async Task<List<(string, string)>> ReadFormAsync()
    {
        using var reader = new FormReader(new MemoryStream(Body))
        {
            ValueCountLimit = 10_000,
            KeyLengthLimit = int.MaxValue,
            ValueLengthLimit = int.MaxValue,
        };
        var pairs = new List<(string, string)>();
        while (await reader.ReadNextPairAsync() is { } pair)
            pairs.Add((pair.Key, pair.Value));
        return pairs;
    }

    public async Task<List<PartModel>> ReadPartsAsync()
    {
        // A type that is none of multipart has no boundary: then the body's first line has it.
        string boundary =
            MediaTypeHeaderValue.TryParse(Headers["content-type"][0], out var type) && type.Boundary.HasValue
                ? HeaderUtilities.RemoveQuotes(type.Boundary).ToString()
                : Encoding.Latin1.GetString(Body, 2, Body.AsSpan().IndexOf("\r\n"u8) - 2).TrimEnd('-');
        var reader = new MultipartReader(boundary, new MemoryStream(Body)) { HeadersLengthLimit = 1_000_000, HeadersCountLimit = 100 };
        var parts = new List<PartModel>();
        while (await reader.ReadNextSectionAsync() is { } section)
        {
            var content = new MemoryStream();
            await section.Body.CopyToAsync(content);
            var (name, fileName) = NamesOf(section.ContentDisposition!);
            parts.Add(new(name, fileName, section.ContentType, content.ToArray()));
        }
        return parts;
    }

    /// <summary>Browsers write a backslash as it is, and a reader of the RFC takes it for an escape; so the quoted texts are taken as they
    /// stand.</summary>
    static (string Name, string? FileName) NamesOf(string disposition)
    {
        string[] quoted = disposition.Split('"');
        Assert.Equal("form-data; name=", quoted[0]);
        if (quoted.Length == 3)
            return (quoted[1], null);
        Assert.Equal((5, "; filename=", ""), (quoted.Length, quoted[2], quoted[4]));
        return (quoted[1], quoted[3]);
    }
}

/// <summary>Kestrel on loopback, as somebody else's idea of HTTP/1.1.</summary>
sealed class ParsingReceiver : IAsyncDisposable
{
    readonly WebApplication app;
    readonly ConcurrentQueue<ParsedRequest> requests = new();

    ParsingReceiver()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(static kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0);
            kestrel.RequestHeaderEncodingSelector = static _ => Encoding.Latin1;
            kestrel.Limits.MaxRequestBufferSize = null;
            kestrel.Limits.MaxRequestLineSize = kestrel.Limits.MaxRequestHeadersTotalSize = 4 * 1024 * 1024;
        });
        app = builder.Build();
        app.Run(NoteAsync);
    }

    public int Port => new Uri(app.Urls.First()).Port;

    public static async Task<ParsingReceiver> StartAsync()
    {
        var receiver = new ParsingReceiver();
        await receiver.app.StartAsync();
        return receiver;
    }

    /// <summary>Takes what has arrived since the last time.</summary>
    public List<ParsedRequest> Take()
    {
        var taken = new List<ParsedRequest>();
        while (requests.TryDequeue(out var request))
            taken.Add(request);
        return taken;
    }

    async Task NoteAsync(HttpContext context)
    {
        var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var headers = context.Request.Headers.ToDictionary(
            static header => header.Key.ToLowerInvariant(),
            static header => header.Value.OfType<string>().ToArray()
        );
        requests.Enqueue(new(context.Request.Method, context.Features.Get<IHttpRequestFeature>()!.RawTarget, headers, body.ToArray()));
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();
}
