using System.Text;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

public sealed class StepRecordTests
{
    [Theory]
    [InlineData("0 1 2", "0 1 2")]
    [InlineData("2 0 1", "2 0 1")] // a body is read after later sends are made
    [InlineData("2 2 0", "2 3 0")]
    [InlineData("0 0 0", "0 1 2")]
    [InlineData("4 1 1", "4 1 5")]
    [InlineData("5 0", "0 1")] // out of reach of five
    [InlineData("2147483647 0", "0 1")]
    public void A_send_has_the_index_that_it_names_or_the_next_one(string named, string taken)
    {
        var record = new StepRecord();
        Assert.Equal(Numbers(taken), Numbers(named).Select(index => record.TakeSend(index, 5)));
    }

    [Theory]
    [InlineData("10 11", "10 11")]
    [InlineData("14 10", "14 10")]
    [InlineData("15 10", "10 11")]
    [InlineData("3 10", "10 11")]
    public void Indexes_of_a_step_that_goes_on_are_in_reach_from_its_first_one(string named, string taken)
    {
        var record = new StepRecord { FirstSend = 10, NextSend = 10 };
        Assert.Equal(Numbers(taken), Numbers(named).Select(index => record.TakeSend(index, 5)));
    }

    static IEnumerable<int> Numbers(string list) => list.Split(' ').Select(int.Parse);

    [Fact]
    public void Value_at_the_end_of_a_step_takes_the_place_of_one_that_it_exported_before()
    {
        var record = new StepRecord
        {
            Exports = """{"a":1,"b":2}"""u8.ToArray(),
            Named = new() { ["a"] = "0"u8.ToArray(), ["c"] = "3"u8.ToArray() },
        };
        Assert.Equal("""{"c":3,"a":1,"b":2}""", Encoding.UTF8.GetString(record.AllExports()!));
    }
}
