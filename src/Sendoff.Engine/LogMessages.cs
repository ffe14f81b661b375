using Microsoft.Extensions.Logging;

namespace Sendoff.Engine;

/// <summary>Every log line of the engine, with ids that stay: 4000 workers.</summary>
internal static partial class LogMessages
{
    #region Workers, 4000-4099

    [LoggerMessage(4000, LogLevel.Information, "Node.js {Version} of npm package {Package} is fetched into {Folder}")]
    public static partial void NodeFetched(this ILogger log, Version version, string package, string folder);

    [LoggerMessage(4001, LogLevel.Warning, "Workers use Node.js {Version} from the PATH ({Path}), not {Pinned}: {Reason}. {Lost}")]
    public static partial void NodeFromPath(this ILogger log, Version version, string path, string pinned, string reason, string lost);

    [LoggerMessage(4002, LogLevel.Debug, "Worker {Pid} is ready in {Milliseconds} ms")]
    public static partial void WorkerReady(this ILogger log, int pid, long milliseconds);

    [LoggerMessage(4003, LogLevel.Error, "No worker can be started: {Reason}")]
    public static partial void WorkerUnavailable(this ILogger log, string reason);

    [LoggerMessage(4004, LogLevel.Warning, "Worker {Pid} of {Program} ended in mid-run ({Cause}): {Reason}")]
    public static partial void WorkerDied(this ILogger log, int pid, string program, string cause, string reason);

    [LoggerMessage(4005, LogLevel.Error, "Worker {Pid} ends because of a fault of the server")]
    public static partial void WorkerFailed(this ILogger log, int pid, Exception error);

    #endregion
}
