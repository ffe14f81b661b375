using System.Globalization;
using Cronos;

namespace Sendoff.Engine.Workflows;

/// <summary>Starts runs by the clock: at the times of a cron expression in a time zone, or every so often, counted from 1970 in UTC so that every server
/// comes to the same times.</summary>
public sealed record ScheduleTrigger : Trigger
{
    public const string TypeName = "schedule";
    public static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1), Longest = TimeSpan.FromDays(366);

    readonly CronExpression? expression;

    public ScheduleTrigger(CronExpression expression, string cron, TimeZoneInfo zone) : base(TypeName) => (this.expression, Cron, Zone) = (expression, cron, zone);

    public ScheduleTrigger(TimeSpan every, TimeZoneInfo zone) : base(TypeName) => (Every, Zone) = (every, zone);

    /// <summary>Five fields; null when it is <see cref="Every"/>.</summary>
    public string? Cron { get; }
    /// <summary>Whole seconds; null when it is <see cref="Cron"/>.</summary>
    public TimeSpan? Every { get; }
    public TimeZoneInfo Zone { get; }

    public override string Identity => (Cron ?? Every!.Value.TotalSeconds.ToString(CultureInfo.InvariantCulture)) + " " + Zone.Id;

    /// <summary>The first due time after a moment; null when there is none any more.</summary>
    public DateTimeOffset? NextAfter(DateTimeOffset moment)
    {
        if (expression is not null) return expression.GetNextOccurrence(moment, Zone)?.ToUniversalTime();
        long interval = Every!.Value.Ticks, since = moment.UtcTicks - DateTimeOffset.UnixEpoch.Ticks;
        return DateTimeOffset.UnixEpoch.AddTicks((since / interval + 1) * interval);
    }
}
