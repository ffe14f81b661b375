namespace Sendoff.Engine;

/// <summary>What every room of the engine shares: ids, limits, the clock, the change feed and the pace.</summary>
public sealed record EngineContext(IdSequence Ids, EngineLimits Limits, TimeProvider Time, ChangeFeed Changes, Pacing Pacing);
