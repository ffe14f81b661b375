using Sendoff.Engine.Workflows;

namespace Sendoff.Tests.Workflows;

public sealed class ScheduleTriggerTests
{
    static WorkflowReading Read(string trigger) =>
        WorkflowReader.Read(
            "test",
            new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    $"triggers:\n  - type: schedule\n    {trigger.Replace("\n", "\n    ")}\nsteps: [ {{ namespace: a, uses: ./a.js }} ]",
                ["a.js"] = "",
            }
        );

    static ScheduleTrigger Schedule(string trigger) => Assert.IsType<ScheduleTrigger>(Assert.Single(Read(trigger).Definition!.Triggers));

    static List<string> Due(string trigger, string from, int count)
    {
        var schedule = Schedule(trigger);
        var due = new List<string>();
        for (var at = DateTimeOffset.Parse(from); due.Count < count; due.Add(at.ToString("MM-dd HH:mm")))
            at = schedule.NextAfter(at)!.Value;
        return due;
    }

    [Fact]
    public void A_cron_expression_is_due_in_its_time_zone()
    {
        Assert.Equal(["11-23 08:00", "11-24 08:00"], Due("cron: '0 9 * * MON-FRI'\ntimezone: Europe/Berlin", "2026-11-23T07:59:59Z", 2));
        Assert.Equal(["11-23 09:00"], Due("cron: '0 9 * * *'", "2026-11-23T08:00:00Z", 1));
    }

    [Theory]
    [InlineData("30 4 1,15 * 5", "11-27 04:30", "12-01 04:30", "12-04 04:30")]
    [InlineData("0 0 30 2 MON", "02-01 00:00", "02-08 00:00", "02-15 00:00")]
    [InlineData("0 0 1 * 1-5", "11-26 00:00", "11-27 00:00", "11-30 00:00")]
    [InlineData("0 0 L * SUN#1", "11-30 00:00", "12-06 00:00", "12-31 00:00")]
    public void Of_two_day_fields_either_is_enough(string cron, params string[] expected) =>
        Assert.Equal(expected, Due($"cron: '{cron}'", "2026-11-25T00:00:00Z", expected.Length));

    // crontab(5): a field that begins with a star does not restrict the days.
    [Theory]
    [InlineData("0 0 1 * *", "12-01 00:00", "01-01 00:00")]
    [InlineData("0 0 * * 5", "11-27 00:00", "12-04 00:00")]
    [InlineData("0 0 */10 * 5", "12-11 00:00", "01-01 00:00")]
    [InlineData("0 0 1 * */5", "01-01 00:00", "08-01 00:00")]
    [InlineData("0 0 ? * 5", "11-27 00:00", "12-04 00:00")]
    public void Of_two_day_fields_one_with_a_star_leaves_the_days_to_the_other(string cron, params string[] expected) =>
        Assert.Equal(expected, Due($"cron: '{cron}'", "2026-11-25T00:00:00Z", expected.Length));

    [Fact]
    public void A_time_that_both_day_fields_name_is_due_once()
    {
        Assert.Equal(["05-01 00:00", "05-08 00:00"], Due("cron: '0 0 1 5 FRI'", "2026-04-30T00:00:00Z", 2));
    }

    [Fact]
    public void An_hour_that_is_skipped_in_spring_moves_a_daily_time_to_its_end_and_drops_no_day()
    {
        Assert.Equal(
            ["03-27 01:30", "03-28 01:00", "03-29 00:30"],
            Due("cron: '30 2 * * *'\ntimezone: Europe/Berlin", "2027-03-27T00:00:00Z", 3)
        );
    }

    [Fact]
    public void An_hour_that_comes_twice_in_autumn_is_due_once_for_a_daily_time_and_twice_for_an_hourly_one()
    {
        Assert.Equal(
            ["10-30 00:30", "10-31 00:30", "11-01 01:30"],
            Due("cron: '30 2 * * *'\ntimezone: Europe/Berlin", "2027-10-30T00:00:00Z", 3)
        );
        Assert.Equal(
            ["10-30 23:30", "10-31 00:30", "10-31 01:30", "10-31 02:30"],
            Due("cron: '30 * * * *'\ntimezone: Europe/Berlin", "2027-10-30T23:00:00Z", 4)
        );
    }

    [Fact]
    public void An_interval_is_counted_from_1970_so_that_a_restart_moves_nothing()
    {
        Assert.Equal(["11-23 07:15", "11-23 07:30"], Due("every: 15m", "2026-11-23T07:00:00Z", 2));
        Assert.Equal(["11-24 00:00"], Due("every: 1d", "2026-11-23T00:00:00Z", 1));
        Assert.Equal(TimeSpan.FromMinutes(1), Schedule("every: 60s").Every);
    }

    [Theory]
    [InlineData("cron: '* * * * * *'", "has seconds", 3)]
    [InlineData("cron: '@every_second'", "has seconds", 3)]
    [InlineData("cron: '61 * * * *'", "is not a valid cron expression", 3)]
    [InlineData("cron: '0 0 30 2 *'", "is never due", 3)]
    [InlineData("cron: '* * * * *'\ntimezone: Europe/Berln", "there is no time zone 'Europe/Berln'", 4)]
    [InlineData("every: 30s", "too often", 3)]
    [InlineData("every: often", "is not a valid interval", 3)]
    [InlineData("every: 900d", "longer than a year", 3)]
    [InlineData("every: 5m\ncron: '* * * * *'", "either `cron` or `every`", 2)]
    [InlineData("timezone: UTC", "either `cron` or `every`", 2)]
    [InlineData("every: 5m\nsecond: 3", "a schedule has no 'second'", 4)]
    public void A_mistake_in_a_schedule_says_what_and_where(string trigger, string message, int line)
    {
        var problem = Assert.Single(Read(trigger).Problems);

        Assert.Contains(message, problem.Message);
        Assert.Equal((line, "workflow.yaml"), (problem.Line, problem.File));
        Assert.True(problem.Column > 0);
        Assert.NotNull(problem.Hint);
    }
}
