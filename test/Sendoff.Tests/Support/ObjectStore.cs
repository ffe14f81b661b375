using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Sendoff.Tests.Support;

/// <summary>An S3 store on loopback that accepts correctly signed requests (Signature Version 4, in the query), and repeats the request in
/// its errors.</summary>
sealed class ObjectStore : IAsyncDisposable
{
    public const string AccessKey = "AKIDEXAMPLE",
        SecretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        Region = "eu-central-1";

    readonly WebApplication app;

    ObjectStore(WebApplication app) => this.app = app;

    public Uri Address => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    public ConcurrentDictionary<string, byte[]> Objects { get; } = [];
    public ConcurrentQueue<string> Signatures { get; } = new();

    public static async Task<ObjectStore> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var store = new ObjectStore(builder.Build());
        store.app.Run(store.TakeAsync);
        await store.app.StartAsync();
        return store;
    }

    async Task TakeAsync(HttpContext context)
    {
        string target = context.Features.Get<IHttpRequestFeature>()!.RawTarget,
            path = target.Split('?')[0];
        string given = context.Request.Query["X-Amz-Signature"].ToString();
        Signatures.Enqueue(given);
        if (given.Length == 0 || given != Sign(context.Request, target))
        {
            context.Response.StatusCode = 403;
            await context.Response.WriteAsync(
                $"<Error><Code>SignatureDoesNotMatch</Code><SignatureProvided>{given}</SignatureProvided><Key>{SecretKey}</Key></Error>"
            );
            return;
        }
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        Objects[Uri.UnescapeDataString(path)] = body.ToArray();
    }

    // As in the documentation of Signature Version 4, for a presigned URL.
    static string Sign(HttpRequest request, string target)
    {
        string date = request.Query["X-Amz-Date"].ToString(),
            scope = $"{date[..8]}/{Region}/s3/aws4_request";
        var query = target
            .Split('?')[1]
            .Split('&')
            .Where(p => !p.StartsWith("X-Amz-Signature=", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);
        string canonical =
            $"{request.Method}\n{target.Split('?')[0]}\n{string.Join('&', query)}\nhost:{request.Host}\n\nhost\nUNSIGNED-PAYLOAD";
        string toSign =
            $"AWS4-HMAC-SHA256\n{date}\n{scope}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        byte[] key = Encoding.UTF8.GetBytes("AWS4" + SecretKey);
        foreach (string part in new[] { date[..8], Region, "s3", "aws4_request" })
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        return Convert.ToHexStringLower(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(toSign)));
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
