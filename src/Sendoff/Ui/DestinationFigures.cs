using System.Globalization;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui;

/// <summary>How the deliveries to one destination went.</summary>
/// <param name="Destination">As it is stored.</param>
/// <param name="Failed">Failed, blocked or interrupted.</param>
/// <param name="P50Ms">Of the last attempts, whether they succeeded or not; null when there is none.</param>
/// <param name="Errors">By code and phase, the most frequent first.</param>
/// <param name="Outcomes">Newest first.</param>
public sealed record DestinationFigures(
    string Destination,
    int Succeeded,
    int Failed,
    double? P50Ms,
    double? P99Ms,
    IReadOnlyList<ErrorClass> Errors,
    IReadOnlyList<Outcome> Outcomes
)
{
    /// <summary>How many of the newest deliveries are read: about 40 ms of SQLite.</summary>
    public const int MostOutcomes = 10_000;

    public int Deliveries => Outcomes.Count;

    /// <summary>Of those that ended, in percent; null when none has.</summary>
    public double? SuccessPercent => Succeeded + Failed == 0 ? null : 100.0 * Succeeded / (Succeeded + Failed);

    public IEnumerable<Outcome> Failures => Outcomes.Where(IsFailed);

    /// <summary>As people write it: without the scheme's own port. Streams and emitted events go by their workflow.</summary>
    public string Name =>
        SendKinds.KindOf(Destination) switch
        {
            SendKind.Email => "Email",
            SendKind.S3 => "S3",
            SendKind.Emit => $"Emitted by {Outcomes[0].Workflow}",
            SendKind.Sse => $"Streamed by {Outcomes[0].Workflow}",
            _ => Destination.StartsWith("https:", StringComparison.Ordinal) ? WithoutPort(":443") : WithoutPort(":80"),
        };

    /// <summary>Those with most failures first, then those with most deliveries.</summary>
    public static IReadOnlyList<DestinationFigures> From(IEnumerable<Outcome> outcomes) =>
        [
            .. outcomes
                .GroupBy(static one => one.Destination)
                .Select(static of => Of(of.Key, [.. of]))
                .OrderByDescending(static one => one.Failed)
                .ThenByDescending(static one => one.Deliveries)
                .ThenBy(static one => one.Destination, StringComparer.Ordinal),
        ];

    public static DestinationFigures Of(string destination, IReadOnlyList<Outcome> outcomes)
    {
        var times = outcomes
            .Where(static one => one.Status is DeliveryStatus.Succeeded or DeliveryStatus.Failed)
            .Select(static one => one.TotalMs)
            .OfType<double>()
            .Order()
            .ToList();
        var errors = outcomes
            .Where(IsFailed)
            .GroupBy(static one => (Code: CodeOf(one), Phase: one.Error is { } error ? Names.Of(error.Phase) : null))
            .Select(static same => new ErrorClass(same.Key.Code, same.Key.Phase, same.Count()))
            .OrderByDescending(static one => one.Count)
            .ThenBy(static one => one.Code, StringComparer.Ordinal);
        return new(
            destination,
            outcomes.Count(static one => one.Status == DeliveryStatus.Succeeded),
            outcomes.Count(IsFailed),
            Percentile(times, 0.5),
            Percentile(times, 0.99),
            [.. errors],
            outcomes
        );
    }

    /// <summary>The nearest rank: the smallest value that at least the share does not exceed. Null of nothing.</summary>
    public static double? Percentile(IReadOnlyList<double> sorted, double share) =>
        sorted.Count == 0 ? null : sorted[Math.Clamp((int)Math.Ceiling(share * sorted.Count) - 1, 0, sorted.Count - 1)];

    /// <summary>The time of the last attempt, or of the commit if there was none.</summary>
    public static DateTimeOffset TimeOf(Outcome outcome) => outcome.At ?? IdSequence.MomentOf(outcome.Id.Value);

    public static bool IsFailed(Outcome outcome) => Words.IsFailure(outcome.Status);

    /// <summary>The error's code, or the response's class.</summary>
    public static string CodeOf(Outcome outcome) =>
        outcome.Error is { } error ? Names.Of(error.Code)
        : outcome.Code is { } code ? $"{code / 100}xx"
        : Names.Of(outcome.Status);

    /// <summary>Deliveries by the time when they were made, in equal parts of a span.</summary>
    public static IReadOnlyList<(int Good, int Bad)> Parts(
        IEnumerable<Outcome> outcomes,
        DateTimeOffset from,
        DateTimeOffset until,
        int count
    )
    {
        var parts = new (int Good, int Bad)[count];
        foreach (var outcome in outcomes)
        {
            int part = Math.Clamp((int)((IdSequence.MomentOf(outcome.Id.Value) - from) / (until - from) * count), 0, count - 1);
            if (IsFailed(outcome))
                parts[part].Bad++;
            else
                parts[part].Good++;
        }
        return parts;
    }

    /// <summary>The classes with how often they came, the most frequent first: <c>timeout 12, 5xx 3</c>.</summary>
    public string ErrorText =>
        string.Join(
            ", ",
            Errors
                .GroupBy(static one => one.Code)
                .Select(static same => (Code: same.Key, Count: same.Sum(static one => one.Count)))
                .OrderByDescending(static one => one.Count)
                .Select(static one => $"{one.Code} {Words.Count(one.Count)}")
        );

    /// <summary>Never 100 while one has failed: it is cut, not rounded.</summary>
    public static string Percent(double? percent) =>
        percent is { } value ? (Math.Floor(value * 10) / 10).ToString("0.#", CultureInfo.InvariantCulture) + " %" : "–";

    string WithoutPort(string port) => Destination.EndsWith(port, StringComparison.Ordinal) ? Destination[..^port.Length] : Destination;
}

/// <param name="Phase">Null of a complete response, which is a code or a class of them.</param>
public sealed record ErrorClass(string Code, string? Phase, int Count);
