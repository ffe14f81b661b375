namespace Sendoff.Server;

/// <summary>Log messages of the server, with event ids 8000 to 8099. They never contain a body, a header value or a secret.</summary>
internal static partial class LogMessages
{
    [LoggerMessage(8001, LogLevel.Error, "{Method} {Path} failed")]
    public static partial void RequestFailed(this ILogger log, Exception exception, string method, string path);

    [LoggerMessage(
        8010,
        LogLevel.Warning,
        "A trigger refuses all requests, because its bearer token is the secret {Name}, which is not set"
    )]
    public static partial void TokenNotSet(this ILogger log, string name);

    [LoggerMessage(8015, LogLevel.Warning, "The certificate could not be reloaded; the previous one stays in use: {Why}")]
    public static partial void CertificateKept(this ILogger log, string why);

    [LoggerMessage(8016, LogLevel.Information, "SIGHUP: reloaded the certificate. Settings are read only at startup")]
    public static partial void CertificateReloaded(this ILogger log);

    [LoggerMessage(8017, LogLevel.Information, "SIGHUP: nothing to reload. Settings are read only at startup")]
    public static partial void NothingToReload(this ILogger log);

    [LoggerMessage(8020, LogLevel.Warning, "The part {Part} of a page could not be refreshed; it still shows the previous content")]
    public static partial void PageReadFailed(this ILogger log, Exception exception, string part);
}
