using Sendoff.Engine.Runs;

namespace Sendoff.Engine;

/// <summary>What every room of the engine shares: ids, limits, the clock, the change feed and the pace.</summary>
public sealed record EngineContext(IdSequence Ids, EngineLimits Limits, TimeProvider Time, ChangeFeed Changes, Pacing Pacing);

static class ChangeFeedExtensions
{
    public static void PublishRun(this ChangeFeed changes, RunId run, RunStatus status)
    {
        if (changes.HasListeners) changes.Publish(new("run", run.ToString(), run.ToString(), status.ToString()));
    }
}
