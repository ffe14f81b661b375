using System.Globalization;
using Cronos;

namespace Sendoff.Engine.Workflows;

/// <summary>Starts runs at the times of a cron expression in a time zone, or at an interval, counted from 1970 in UTC so that all servers
/// compute the same times.</summary>
public sealed record ScheduleTrigger : Trigger
{
    public const string TypeName = "schedule";
    public static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1),
        Longest = TimeSpan.FromDays(366);

    /// <summary>The schedule is due if any of them is; empty for an interval.</summary>
    readonly CronExpression[] expressions = [];

    /// <exception cref="CronFormatException">The text is not a cron expression with five fields.</exception>
    /// <exception cref="MissingSeedException">The expression contains H, which would be a different time on each server.</exception>
    public ScheduleTrigger(string cron, TimeZoneInfo zone)
        : base(TypeName) => (expressions, Cron, Zone) = (Parse(cron), cron, zone);

    public ScheduleTrigger(TimeSpan every, TimeZoneInfo zone)
        : base(TypeName) => (Every, Zone) = (every, zone);

    /// <summary>Five fields; null for an interval.</summary>
    public string? Cron { get; }

    /// <summary>Whole seconds; null for a cron expression.</summary>
    public TimeSpan? Every { get; }
    public TimeZoneInfo Zone { get; }

    public override string Identity =>
        (Cron ?? Every!.Value.TotalSeconds.ToString(CultureInfo.InvariantCulture))
        + " "
        + Zone.Id
        + (Source is null ? "" : " " + base.Identity);

    /// <summary>Display text: <c>0 7 * * *, Europe/Berlin</c> or <c>every 15m</c>.</summary>
    public override string ToString() =>
        Cron is not null
            ? $"{Cron}, {Zone.Id}"
            : "every "
                + Every switch
                {
                    { Minutes: 0, Seconds: 0 } hours => $"{hours.TotalHours:0}h",
                    { Seconds: 0 } minutes => $"{minutes.TotalMinutes:0}m",
                    { } seconds => $"{seconds.TotalSeconds:0}s",
                    _ => "",
                };

    /// <summary>The first due time after a moment; null if there is none.</summary>
    public DateTimeOffset? NextAfter(DateTimeOffset moment)
    {
        if (expressions.Length > 0)
            return expressions.Min(one => one.GetNextOccurrence(moment, Zone))?.ToUniversalTime();
        long interval = Every!.Value.Ticks,
            since = moment.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;
        return DateTimeOffset.UnixEpoch.AddTicks((since / interval + 1) * interval);
    }

    /// <summary>The first due times after a moment.</summary>
    public IEnumerable<DateTimeOffset> TimesAfter(DateTimeOffset moment, int count)
    {
        for (int i = 0; i < count && NextAfter(moment) is { } due; i++)
            yield return moment = due;
    }

    // crontab(5): if both day fields restrict the days, either may match. A field that begins with a star does not restrict them, whatever
    // its step.
    static CronExpression[] Parse(string cron)
    {
        string[] fields = cron.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (fields is not [var minute, var hour, [not ('*' or '?'), ..] day, var month, [not ('*' or '?'), ..] weekday])
            return [CronExpression.Parse(cron)];
        return [CronExpression.Parse($"{minute} {hour} {day} {month} *"), CronExpression.Parse($"{minute} {hour} * {month} {weekday}")];
    }
}
