using System.Globalization;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui;

/// <summary>The totals of a destination as a page says them.</summary>
public sealed record DestinationFigures(DestinationTotals Of)
{
    /// <summary>Of those that ended, in percent; null when none has.</summary>
    public double? SuccessPercent => Of.Succeeded + Of.Failed == 0 ? null : 100.0 * Of.Succeeded / (Of.Succeeded + Of.Failed);

    /// <summary>The name for people, without the default port. Streams and emitted events are named by their workflow.</summary>
    public string Name =>
        SendKinds.KindOf(Of.Destination) switch
        {
            SendKind.Email => "Email",
            SendKind.S3 => "S3",
            SendKind.Emit => $"Emitted by {Of.Workflow}",
            SendKind.Source => $"Source of {Of.Workflow}",
            SendKind.Sse => $"Streamed by {Of.Workflow}",
            _ => Of.Destination.StartsWith("https:", StringComparison.Ordinal) ? WithoutPort(":443") : WithoutPort(":80"),
        };

    /// <summary>The codes with how often they came, the most frequent first: <c>timeout 12, 5xx 3</c>.</summary>
    public string ErrorText =>
        string.Join(
            ", ",
            Of.Errors.GroupBy(CodeOf)
                .Select(static same => (Code: same.Key, Count: same.Sum(static one => one.Count)))
                .OrderByDescending(static one => one.Count)
                .Select(static one => $"{one.Code} {Words.Count(one.Count)}")
        );

    /// <summary>The error's code, or the response's class.</summary>
    public static string CodeOf(ErrorTotals error) =>
        error.Code is { } code ? Names.Of(code)
        : error.CodeClass is { } first ? $"{first}xx"
        : Names.Of(error.Status);

    /// <summary>The time of the last attempt, or of the commit if there was none.</summary>
    public static DateTimeOffset TimeOf(Outcome outcome) => outcome.At ?? IdSequence.MomentOf(outcome.Id.Value);

    /// <summary>Never 100 while one has failed: it is cut, not rounded.</summary>
    public static string Percent(double? percent) =>
        percent is { } value ? (Math.Floor(value * 10) / 10).ToString("0.#", CultureInfo.InvariantCulture) + " %" : "–";

    string WithoutPort(string port) =>
        Of.Destination.EndsWith(port, StringComparison.Ordinal) ? Of.Destination[..^port.Length] : Of.Destination;
}
