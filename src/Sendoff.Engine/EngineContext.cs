using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Engine;

/// <summary>What every room of the engine shares: ids, limits, the clock, the change feed, the pace, and what is kept out of records.</summary>
public sealed record EngineContext(IdSequence Ids, EngineLimits Limits, TimeProvider Time, ChangeFeed Changes, Pacing Pacing, Concealment Concealment)
{
    public Quota Quota { get; } = new(Limits, Time);
    public ServerHold Hold { get; } = new();
}
