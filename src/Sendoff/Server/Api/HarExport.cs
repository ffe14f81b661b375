using System.IO.Pipelines;
using System.Net;
using System.Reflection;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.WebUtilities;
using Sendoff.Engine;
using Sendoff.Engine.Secrets;

namespace Sendoff.Server.Api;

/// <summary>Deliveries as an HTTP Archive, for browser tools: one entry per attempt, in the order of the sends. A delivery without attempts
/// has one entry with the reason.</summary>
internal static class HarExport
{
    const string UnknownType = "x-unknown";

    static readonly string version = typeof(HarExport)
        .Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
        .InformationalVersion.Split('+')[0];

    static readonly HarContent nothing = new(0, null, UnknownType, null, null, null);

    /// <summary>Writes deliveries as they are read, so that only one is in memory.</summary>
    public static async Task WriteAsync(Stream output, IAsyncEnumerable<DeliveryDocument> deliveries, CancellationToken ct)
    {
        var pipe = PipeWriter.Create(output, new(leaveOpen: true));
        await using var writer = new Utf8JsonWriter(pipe, new() { Encoder = PlainJsonEncoder.Instance });
        writer.WriteStartObject();
        writer.WriteStartObject("log");
        writer.WriteString("version", "1.2");
        writer.WritePropertyName("creator");
        JsonSerializer.Serialize(writer, new HarCreator("sendoff", version), HarJson.Default.HarCreator);
        writer.WriteStartArray("entries");
        await foreach (var delivery in deliveries.WithCancellation(ct))
        {
            foreach (var entry in Entries(delivery))
                JsonSerializer.Serialize(writer, entry, HarJson.Default.HarEntry);
            await pipe.FlushAsync(ct);
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndObject();
        await writer.FlushAsync(ct);
        await pipe.CompleteAsync();
    }

    public static IEnumerable<HarEntry> Entries(DeliveryDocument delivery) =>
        delivery.Attempts.Count == 0 ? [Entry(delivery)] : delivery.Attempts.Select(attempt => Entry(delivery, attempt));

    static HarEntry Entry(DeliveryDocument delivery)
    {
        string why = delivery.Error is { } error ? Text(error) : delivery.Status;
        var asked = DeliveryId.TryParse(delivery.Id, out var id) ? IdSequence.MomentOf(id.Value) : default;
        return new(
            asked,
            0,
            Request(delivery.Request, isWritten: false),
            NoResponse(why),
            new(),
            new(-1, -1, -1, -1, 0, 0, 0),
            null,
            delivery.Id,
            null,
            null
        );
    }

    static HarEntry Entry(DeliveryDocument delivery, AttemptDocument attempt)
    {
        bool isWritten = attempt.Request.Headers.Count > 0;
        var timings = Timings(attempt.Timing);
        return new(
            attempt.StartedAt.AddMilliseconds(-attempt.Timing.QueueMs),
            Sum(timings),
            Request(isWritten ? attempt.Request : delivery.Request, isWritten),
            Response(attempt),
            new(),
            timings,
            IPEndPoint.TryParse(attempt.RemoteAddress ?? "", out var remote) ? remote.Address.ToString() : null,
            delivery.Id,
            attempt.Number,
            attempt.Redirects.Count > 0 ? attempt.Redirects : null
        );
    }

    static HarRequest Request(RequestDocument request, bool isWritten) =>
        new(
            request.Method,
            request.Url,
            "HTTP/1.1",
            [],
            Lines(request.Headers),
            Query(request.Url),
            PostData(request),
            isWritten ? HeadBytes(request) : -1,
            request.BodyBytes
        );

    static HarPostData? PostData(RequestDocument request) =>
        request.BodyBytes == 0
            ? null
            : new(
                First(request.Headers, "content-type") ?? "",
                [],
                request.Body,
                request.BodyEncoding == BodyText.Utf8 ? null : request.BodyEncoding
            );

    static HarResponse Response(AttemptDocument attempt)
    {
        string? error = attempt.Error is { } fault ? Text(fault) : null;
        if (attempt.Response is not { } response)
            return NoResponse(error ?? attempt.Status);
        // The reason phrase is not stored, so the size of the head is unknown.
        return new(
            response.Status,
            ReasonPhrases.GetReasonPhrase(response.Status),
            $"HTTP/{response.HttpVersion}",
            [],
            Lines(response.Headers),
            Content(response),
            First(response.Headers, "location") ?? "",
            -1,
            response.BodyBytes,
            error
        );
    }

    static HarResponse NoResponse(string error) => new(0, "", "", [], [], nothing, "", -1, -1, error);

    static HarContent Content(AttemptResponseDocument response)
    {
        bool isText = response.BodyEncoding == BodyText.Utf8;
        long kept = isText ? Encoding.UTF8.GetByteCount(response.Body) : Convert.FromBase64String(response.Body).Length;
        bool isCoded = response.Headers.ContainsKey("content-encoding");
        long size = response.Truncated && !isCoded ? response.BodyBytes : kept;
        return new(
            size,
            isCoded && !response.Truncated ? size - response.BodyBytes : null,
            First(response.Headers, "content-type") ?? UnknownType,
            response.Body,
            isText ? null : response.BodyEncoding,
            response.Truncated ? $"truncated: the first {kept:N0} bytes are stored" : null
        );
    }

    /// <summary>Time outside all phases is added to the queue.</summary>
    static HarTimings Timings(TimingDocument t)
    {
        double phases = (t.DnsMs ?? 0) + (t.ConnectMs ?? 0) + (t.TlsMs ?? 0) + (t.WriteMs ?? 0) + (t.WaitMs ?? 0) + (t.ReadMs ?? 0);
        double connect = t.ConnectMs is { } tcp ? Names.Ms(tcp + (t.TlsMs ?? 0)) : -1;
        return new(
            Names.Ms(t.QueueMs + Math.Max(0, t.TotalMs - phases)),
            t.DnsMs ?? -1,
            connect,
            t.TlsMs ?? -1,
            t.WriteMs ?? 0,
            t.WaitMs ?? 0,
            t.ReadMs ?? 0
        );
    }

    static double Sum(HarTimings t) => Names.Ms(t.Blocked + Math.Max(0, t.Dns) + Math.Max(0, t.Connect) + t.Send + t.Wait + t.Receive);

    static List<HarPair> Lines(IReadOnlyDictionary<string, IReadOnlyList<string>> headers) =>
        [.. headers.SelectMany(header => header.Value.Select(value => new HarPair(header.Key, value)))];

    static string? First(IReadOnlyDictionary<string, IReadOnlyList<string>> headers, string name) =>
        headers.FirstOrDefault(header => header.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value?[0];

    static List<HarPair> Query(string url)
    {
        var pairs = new List<HarPair>();
        int mark = url.IndexOf('?');
        foreach (var pair in new QueryStringEnumerable(mark < 0 ? "" : url[mark..]))
            pairs.Add(new(pair.DecodeName().ToString(), pair.DecodeValue().ToString()));
        return pairs;
    }

    /// <summary>The recorded size; unknown if a mask has another length than the masked text.</summary>
    static int HeadBytes(RequestDocument request)
    {
        if (request.Url.Contains(SecretMask.Cover, StringComparison.Ordinal))
            return -1;
        int bytes = $"{request.Method} {WireText.Target(request.Url)} HTTP/1.1\r\n\r\n".Length;
        foreach (var (name, values) in request.Headers)
        {
            foreach (string value in values)
            {
                if (value.Contains(SecretMask.Cover, StringComparison.Ordinal))
                    return -1;
                bytes += name.Length + WireText.HeaderValue(value).Length + ": \r\n".Length;
            }
        }
        return bytes;
    }

    static string Text(AttemptErrorDocument error) => $"{error.Code}: {error.Message}";
}
