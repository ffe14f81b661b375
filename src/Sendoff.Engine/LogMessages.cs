using Microsoft.Extensions.Logging;

namespace Sendoff.Engine;

/// <summary>Every log line of the engine. Event ids are stable, by area. Never a body, a header value or a secret.</summary>
internal static partial class LogMessages
{
    // Storage: 3000-3099.

    [LoggerMessage(3000, LogLevel.Warning, "The store takes no writes: {Reason}. New events are refused; what is under way is kept and tried again.")]
    public static partial void StoreUnavailable(this ILogger log, string reason);

    [LoggerMessage(3001, LogLevel.Information, "The store takes writes again.")]
    public static partial void StoreRestored(this ILogger log);

    [LoggerMessage(3002, LogLevel.Information, "Opened {Path}: schema {Schema}, {Unfinished} unfinished runs.")]
    public static partial void StoreOpened(this ILogger log, string path, int schema, int unfinished);
}
