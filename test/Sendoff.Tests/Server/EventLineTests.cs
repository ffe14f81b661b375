using Sendoff.Engine.Storage;
using Sendoff.Ui;

namespace Sendoff.Tests.Server;

public sealed class EventLineTests
{
    [Theory]
    [InlineData("""{"method":"POST","path":"/orders","headers":{"a":"b"},"body":{"id":1},"url":"u"}""", """POST /orders {"id":1}""")]
    [InlineData("""{"method":"GET","path":"/","headers":{},"body":""}""", "GET /")]
    [InlineData(
        """{"method":"PUT","path":"/x","body":"begins and goes on beyond what was re""",
        "PUT /x \"begins and goes on beyond what was re"
    )]
    [InlineData("""{"method":"PUT","path":"/x","headers":{"cookie":"cut he""", "PUT /x")]
    [InlineData("""{"a":1}""", """{"a":1}""")]
    [InlineData("not JSON", "not JSON")]
    public void A_request_is_its_method_path_and_body(string beginning, string expected) =>
        Assert.Equal(expected, EventLine.Of(Head("http", beginning)));

    [Fact]
    public void Events_of_other_triggers_are_shown_as_they_begin_and_long_ones_are_cut()
    {
        Assert.Equal("""{"body":1}""", EventLine.Of(Head("schedule", """{"body":1}""")));
        Assert.Equal(new string('x', 200) + "…", EventLine.Of(Head("http", new string('x', 300))));
    }

    static EventHead Head(string trigger, string beginning) => new(new(1), "orders", trigger, default, 100, beginning);
}
