using System.Globalization;
using System.IO.Compression;
using Amazon.Runtime;
using Amazon.S3;
using Amazon.S3.Model;

namespace Sendoff.Engine.Deliveries;

/// <summary>An S3-compatible object store. Settings <c>S3:*</c>.</summary>
/// <param name="Endpoint">Null is Amazon's endpoint for the region.</param>
public sealed record S3Options(Uri? Endpoint = null, string Region = "us-east-1", string? AccessKey = null, string? SecretKey = null)
{
    public override string ToString() => Endpoint?.ToString() ?? Region;
}

/// <summary>Makes one attempt for an object (F7): a PUT with a URL that is signed at the attempt and sent like any HTTP delivery. The
/// record never contains the signature.</summary>
public sealed class S3Sender(DeliverySender http, S3Options options, TimeProvider time) : IDisposable
{
    static readonly TimeSpan validity = TimeSpan.FromMinutes(5);

    readonly Lazy<AmazonS3Client> signer = new(() =>
        new AmazonS3Client(
            new BasicAWSCredentials(options.AccessKey, options.SecretKey),
            new AmazonS3Config
            {
                ServiceURL = EndpointOf(options).AbsoluteUri,
                AuthenticationRegion = options.Region,
                ForcePathStyle = true,
            }
        )
    );

    /// <inheritdoc cref="AttemptMaker"/>
    public Task<Attempt> SendAsync(Delivery delivery, int number, double queueMs, CancellationToken shutdown)
    {
        if (options.AccessKey is null)
            return http.AttemptAsync(delivery, number, queueMs, static (_, _, _) => throw Missing("S3:AccessKey"), shutdown);
        if (options.SecretKey is null)
            return http.AttemptAsync(delivery, number, queueMs, static (_, _, _) => throw Missing("S3:SecretKey"), shutdown);
        string url;
        try
        {
            url = Sign(delivery.Request.Url);
        }
        catch (Exception e)
        {
            return http.AttemptAsync(
                delivery,
                number,
                queueMs,
                (_, _, _) => throw new WireException(AttemptErrorCode.Internal, $"the request cannot be signed: {e.Message}", e),
                shutdown
            );
        }
        var put = new HttpSend("PUT", url, [new("content-type", "application/gzip")], Compress(delivery.Request.Body.Span));
        // C8: stores repeat the signature in errors and redirects.
        string[] secrets = [SignatureIn(url), options.SecretKey];
        return http.SendAsync(
            delivery with
            {
                Request = put,
                Credentials = [.. delivery.Credentials, .. secrets],
            },
            number,
            queueMs,
            shutdown
        );
    }

    static string SignatureIn(string url)
    {
        const string name = "X-Amz-Signature=";
        int start = url.IndexOf(name, StringComparison.Ordinal) + name.Length,
            end = url.IndexOf('&', start);
        return end < 0 ? url[start..] : url[start..end];
    }

    /// <summary>Opens no connection.</summary>
    string Sign(string url)
    {
        var (bucket, key) = S3Object.Read(url);
        return signer.Value.GetPreSignedURL(
            new GetPreSignedUrlRequest
            {
                BucketName = bucket,
                Key = key,
                Verb = HttpVerb.PUT,
                Expires = (time.GetUtcNow() + validity).UtcDateTime,
                Protocol = EndpointOf(options).Scheme == Uri.UriSchemeHttp ? Protocol.HTTP : Protocol.HTTPS,
            }
        );
    }

    static Uri EndpointOf(S3Options options) => options.Endpoint ?? new($"https://s3.{options.Region}.amazonaws.com");

    /// <summary>The payload and a line break, as gzip.</summary>
    static byte[] Compress(ReadOnlySpan<byte> payload)
    {
        var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Optimal))
        {
            gzip.Write(payload);
            if (payload is not [.., (byte)'\n'])
                gzip.Write("\n"u8);
        }
        return output.ToArray();
    }

    static WireException Missing(string setting) =>
        new(
            AttemptErrorCode.NotConfigured,
            $"no object store is set: set {setting} (docs/operating.md, Object store) and resend this delivery; no connection was made"
        );

    public void Dispose()
    {
        if (signer.IsValueCreated)
            signer.Value.Dispose();
    }
}

/// <summary>The URL of an object, <c>s3://BUCKET/KEY</c>, percent-encoded.</summary>
internal static class S3Object
{
    const string Scheme = "s3://";

    /// <summary>Whether it has a valid bucket name, and a key without <c>.</c>, <c>..</c> and control characters.</summary>
    public static bool IsUrl(string url)
    {
        if (!url.StartsWith(Scheme, StringComparison.Ordinal) || url.IndexOf('/', Scheme.Length) <= Scheme.Length)
            return false;
        var (bucket, key) = Read(url);
        return char.IsAsciiLetterOrDigit(bucket[0])
            && bucket.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')
            && !key.Any(char.IsControl)
            && !key.Split('/').Any(static segment => segment is "." or "..");
    }

    /// <summary>The name of the object for a prefix: <c>PREFIX/YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-ID.gz</c>. It is part of the request, so a
    /// resend writes the same object.</summary>
    public static string Named(string prefix, DeliveryId delivery)
    {
        var at = IdSequence.MomentOf(delivery.Value);
        string time = at.UtcDateTime.ToString("yyyy'/'MM'/'dd'/'HH'/'yyyy-MM-dd-HH-mm-ss", CultureInfo.InvariantCulture);
        return $"{prefix.TrimEnd('/')}/{time}-{delivery}.gz";
    }

    public static (string Bucket, string Key) Read(string url)
    {
        int slash = url.IndexOf('/', Scheme.Length);
        return (url[Scheme.Length..slash], Uri.UnescapeDataString(url[(slash + 1)..]));
    }
}
