using Microsoft.Extensions.Logging;

namespace Sendoff.Engine;

/// <summary>Every log line of the engine, by area. Never a body, a header value or a secret.</summary>
static partial class LogMessages
{
    // Runs: 1000-1099

    [LoggerMessage(1000, LogLevel.Information, "Runs that an earlier server left unfinished are queued again: {Count}")]
    public static partial void RecoveredRuns(this ILogger log, int count);

    [LoggerMessage(1001, LogLevel.Error, "The run {Run} could not be ended; it is run again after the next start")]
    public static partial void RunLost(this ILogger log, Exception exception, RunId run);

    [LoggerMessage(1002, LogLevel.Error, "No worker can be had, runs wait: {Reason}")]
    public static partial void WorkerUnavailable(this ILogger log, string reason);

    [LoggerMessage(1003, LogLevel.Information, "History pruned: {Rows} runs")]
    public static partial void HistoryPruned(this ILogger log, long rows);

    [LoggerMessage(1004, LogLevel.Warning, "Pruning is put off: {Reason}")]
    public static partial void PruningPostponed(this ILogger log, string reason);
}
