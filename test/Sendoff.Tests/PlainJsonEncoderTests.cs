using System.Text.Json;
using Sendoff.Engine;

namespace Sendoff.Tests;

public sealed class PlainJsonEncoderTests
{
    static readonly JsonSerializerOptions plain = new() { Encoder = PlainJsonEncoder.Instance };

    [Theory]
    [InlineData(
        "it's <b>bold</b> & café 漢字 🎉",
        """
            "it's <b>bold</b> & café 漢字 🎉"
            """
    )]
    [InlineData(
        "say \"hi\"\\\n\u0001",
        """
            "say \"hi\"\\\n\u0001"
            """
    )]
    [InlineData(
        "\u202e\u2066\u061c\u2028\U000e0041 👩‍👧",
        """
            "\u202E\u2066\u061C\u2028\uDB40\uDC41 👩‍👧"
            """
    )]
    [InlineData(
        "🎉\"🎉",
        """
            "🎉\"🎉"
            """
    )]
    public void Only_what_JSON_demands_is_escaped(string text, string json)
    {
        Assert.Equal(json, JsonSerializer.Serialize(text, plain));
        Assert.Equal(text, JsonSerializer.Deserialize<string>(json));
    }

    [Fact]
    public void A_surrogate_that_stands_alone_is_replaced() =>
        Assert.Equal("\"alone \\uFFFD end\"", JsonSerializer.Serialize("alone \ud83d end", plain));
}
