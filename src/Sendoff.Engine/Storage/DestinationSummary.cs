namespace Sendoff.Engine.Storage;

/// <summary>The deliveries of a <see cref="DestinationSummary"/>.</summary>
/// <param name="Destination">As stored; null for all.</param>
/// <param name="Parts">Number of equal parts of the time that are counted.</param>
public sealed record DestinationFilter(DateTimeOffset Since, DateTimeOffset Until, string? Destination, int Parts)
{
    /// <summary>Number of deliveries that are read, the newest first. It bounds the cost: 0.7 s with SQLite.</summary>
    public int Most { get; init; } = 200_000;

    /// <summary>Number of destinations that are returned, those with most failures first.</summary>
    public int MostDestinations { get; init; } = 200;

    /// <summary>Number of failures of a single destination that are returned.</summary>
    public int LastFailures { get; init; } = 10;
}

/// <summary>How the deliveries of a time went.</summary>
/// <param name="Destinations">Those with most failures first, then those with most deliveries.</param>
/// <param name="Parts">By the time at which the delivery was committed. Includes destinations that are not returned.</param>
/// <param name="LastFailures">Newest first; of a single destination only.</param>
/// <param name="IsCut">True if there are older deliveries in this time, which are not counted.</param>
/// <param name="AreMore">True if there are more destinations.</param>
public sealed record DestinationSummary(
    IReadOnlyList<DestinationTotals> Destinations,
    IReadOnlyList<PartTotals> Parts,
    IReadOnlyList<Outcome> LastFailures,
    bool IsCut,
    bool AreMore
);

/// <summary>How the deliveries to one destination went.</summary>
/// <param name="Workflow">One of the workflows that sent them: the only one, for emitted and streamed events.</param>
/// <param name="Failed">Failed, blocked or interrupted.</param>
/// <param name="P50Ms">Nearest rank of the total times of last attempts, successful or not; null without attempts.</param>
/// <param name="Errors">The most frequent first.</param>
/// <param name="LastFailure">Null if none failed.</param>
public sealed record DestinationTotals(
    string Destination,
    string Workflow,
    long Deliveries,
    long Succeeded,
    long Failed,
    double? P50Ms,
    double? P99Ms,
    IReadOnlyList<ErrorTotals> Errors,
    Outcome? LastFailure
);

/// <summary>Failures with the same reason: an error code and its phase, or else a class of status codes, such as 5 for 5xx.</summary>
/// <param name="Status">Of the deliveries, if they have neither.</param>
public sealed record ErrorTotals(AttemptErrorCode? Code, AttemptPhase? Phase, int? CodeClass, DeliveryStatus Status, long Count);

/// <summary>Deliveries of one part of the time.</summary>
public readonly record struct PartTotals(long Deliveries, long Failed);
