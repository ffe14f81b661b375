using Sendoff.Ui.Editor;

namespace Sendoff.Tests.Server;

public sealed class TriggerFieldsTests
{
    [Theory]
    [InlineData("cron", "0 9 * * MON", true)]
    [InlineData("every", "1d", true)]
    [InlineData("every", "15m", true)]
    [InlineData("cron", "H 5 * * *", false)]
    [InlineData("cron", "1 25 * * *", false)]
    [InlineData("cron", "0 0 31 2 *", false)]
    [InlineData("every", "10s", false)]
    [InlineData("every", "soon", false)]
    public void A_schedule_in_the_form_means_what_a_deploy_reads(string field, string value, bool isSchedule)
    {
        var fields = new Dictionary<string, string>
        {
            ["type"] = "schedule",
            [field] = value,
            ["timezone"] = "Europe/Berlin",
        };
        Assert.Equal(isSchedule, TriggerFields.Schedule(fields) is not null);
    }
}
