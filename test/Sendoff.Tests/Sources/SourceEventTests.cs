using System.Text;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Tests.Sources;

public sealed class SourceEventTests
{
    [Theory]
    [InlineData("""{"event":1,"id":"\ud800"}""", "\ufffd")]
    [InlineData("""{"event":1,"id":"a"}""", "a")]
    [InlineData("""{"event":1,"id":1.50}""", "1.50")]
    [InlineData("""{"event":1,"id":null}""", null)]
    [InlineData("""{"event":1}""", null)]
    public void Id_is_read_from_every_valid_event(string body, string? id) =>
        Assert.Equal(id, SourceEvents.IdOf(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void Event_that_is_not_UTF_8_is_refused() => Assert.False(SourceEvents.IsEvent(new byte[] { (byte)'{', 0xff, (byte)'}' }));
}
