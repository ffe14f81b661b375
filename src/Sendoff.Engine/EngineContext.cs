namespace Sendoff.Engine;

/// <summary>Services that all rooms of the engine share: ids, limits, the clock, the change feed and the pace.</summary>
public sealed record EngineContext(IdSequence Ids, EngineLimits Limits, TimeProvider Time, ChangeFeed Changes, Pacing Pacing);
