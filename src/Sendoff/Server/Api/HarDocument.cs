using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Server.Api;

// HTTP Archive 1.2: the format defines field names and their order. Names with an underscore are extensions.

public sealed record HarCreator(string Name, string Version);

/// <summary>An attempt. A delivery without attempts has one entry with its request.</summary>
/// <param name="StartedDateTime">The start of the time in the queue.</param>
/// <param name="Time">The sum of the timings.</param>
/// <param name="ServerIPAddress">Null without a connection.</param>
/// <param name="Redirects">The followed redirects; null if there are none.</param>
public sealed record HarEntry(
    DateTimeOffset StartedDateTime,
    double Time,
    HarRequest Request,
    HarResponse Response,
    HarCache Cache,
    HarTimings Timings,
    string? ServerIPAddress,
    [property: JsonPropertyName("_deliveryId")] string DeliveryId,
    [property: JsonPropertyName("_attempt")] int? Attempt,
    [property: JsonPropertyName("_redirects")] IReadOnlyList<RedirectDocument>? Redirects
);

/// <param name="HeadersSize">From the request line to the empty line; -1 if unknown.</param>
public sealed record HarRequest(
    string Method,
    string Url,
    string HttpVersion,
    IReadOnlyList<HarPair> Cookies,
    IReadOnlyList<HarPair> Headers,
    IReadOnlyList<HarPair> QueryString,
    HarPostData? PostData,
    int HeadersSize,
    long BodySize
);

/// <param name="Params">Always empty: the format allows either parameters or text.</param>
/// <param name="Encoding"><c>base64</c> for a body that is not text; the format defines it for responses only.</param>
public sealed record HarPostData(
    string MimeType,
    IReadOnlyList<HarPair> Params,
    string Text,
    [property: JsonPropertyName("_encoding")] string? Encoding
);

/// <param name="Status">0 without a response, as browsers write it.</param>
/// <param name="Error">Code and message of the error; null without one.</param>
public sealed record HarResponse(
    int Status,
    string StatusText,
    string HttpVersion,
    IReadOnlyList<HarPair> Cookies,
    IReadOnlyList<HarPair> Headers,
    HarContent Content,
    string RedirectURL,
    int HeadersSize,
    long BodySize,
    [property: JsonPropertyName("_error")] string? Error
);

/// <param name="Size">Bytes of the decoded body.</param>
public sealed record HarContent(long Size, long? Compression, string MimeType, string? Text, string? Encoding, string? Comment);

public sealed record HarPair(string Name, string Value);

public sealed record HarCache;

/// <summary>In milliseconds; -1 for a phase that did not happen.</summary>
/// <param name="Connect">Includes <paramref name="Ssl"/>.</param>
public sealed record HarTimings(double Blocked, double Dns, double Connect, double Ssl, double Send, double Wait, double Receive);

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(UtcTime)]
)]
[JsonSerializable(typeof(HarCreator))]
[JsonSerializable(typeof(HarEntry))]
internal sealed partial class HarJson : JsonSerializerContext;
