using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>JSON of steps and callers is shown whatever it holds.</summary>
public sealed class RawJsonTests(SharedServer shared) : IClassFixture<SharedServer>
{
    readonly TestServer server = shared.Server;
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    static string Nested(int levels) => new string('[', levels) + new string(']', levels);

    [Theory]
    [InlineData("""{"a":"\ud800"}""", """{"a":"\ufffd"}""")]
    [InlineData("""{"\udfff":"\ud83d\ude00"}""", """{"\ufffd":"\ud83d\ude00"}""")]
    [InlineData(
        """["\\ud800","\ud800\u0041","\ud800\ud83d\ude00","\u00e9","\ud8"]""",
        """["\\ud800","\ufffd\u0041","\ufffd\ud83d\ude00","\u00e9","\ud8"]"""
    )]
    public void Half_a_surrogate_pair_is_a_replacement_character(string json, string shown)
    {
        Assert.True(RawJson.HasLoneSurrogate(Encoding.UTF8.GetBytes(json)));
        var element = RawJson.Parse(Encoding.UTF8.GetBytes(json));
        // What is no JSON for another reason is a string.
        Assert.Equal(
            shown.Contains("""\ud8"]""") ? json : shown,
            element.ValueKind == JsonValueKind.String ? element.GetString() : element.GetRawText()
        );
    }

    [Fact]
    public void Whole_surrogate_pairs_and_escaped_backslashes_are_left_alone() =>
        Assert.False(RawJson.HasLoneSurrogate("""{"a":"\ud83d\ude00 \\ud800 \u00e9"}"""u8));

    [Fact]
    public void What_is_no_JSON_or_too_deep_is_a_string()
    {
        Assert.Equal(JsonValueKind.Array, RawJson.Parse(Encoding.UTF8.GetBytes(Nested(RawJson.ShownDepth))).ValueKind);
        Assert.Equal(Nested(RawJson.ShownDepth + 1), RawJson.Parse(Encoding.UTF8.GetBytes(Nested(RawJson.ShownDepth + 1))).GetString());
        Assert.Equal("{a", RawJson.Parse("{a"u8.ToArray()).GetString());
        Assert.Equal("\ufffd", RawJson.Parse(new byte[] { (byte)'"', 0xff, (byte)'"' }).GetString());
        Assert.Equal("{}", RawJson.Parse(default).GetRawText());
    }

    [Theory]
    [InlineData(300)]
    [InlineData(479)]
    [InlineData(480)]
    [InlineData(700)]
    [InlineData(985)]
    [InlineData(3_000)]
    public async Task An_export_of_any_depth_is_shown_by_API_and_page(int levels)
    {
        string hook = await server.DeployAsync(
            "deep",
            $"export default async () => {{ let a = []; for (let i = 1; i < {levels}; i++) a = [a]; return a; }};"
        );
        string run = (await server.RunAsync(hook)).Id;
        foreach (string path in new[] { $"/api/v1/runs/{run}", $"/runs/{run}", $"/runs/{run}?step=0" })
        {
            using var answer = await server.Http.GetAsync(path, Ct);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    [Theory]
    [InlineData(70, HttpStatusCode.Accepted)]
    [InlineData(470, HttpStatusCode.Accepted)]
    [InlineData(600, HttpStatusCode.BadRequest)]
    [InlineData(100_000, HttpStatusCode.BadRequest)]
    public async Task A_body_of_the_API_has_a_depth_that_can_be_shown_again(int levels, HttpStatusCode expected)
    {
        await server.DeployAsync("by-hand", "export default async () => {};");
        using var answer = await server.Http.PostAsync(
            "/api/v1/workflows/by-hand/events",
            new StringContent($"{{\"event\":{Nested(levels)}}}", Encoding.UTF8, "application/json"),
            Ct
        );
        Assert.Equal(expected, answer.StatusCode);
        if (expected != HttpStatusCode.Accepted)
            Assert.Contains("It can nest 496 levels.", await answer.Content.ReadAsStringAsync(Ct));
        using var events = await server.Http.GetAsync("/api/v1/events?workflow=by-hand", Ct);
        Assert.Equal(HttpStatusCode.OK, events.StatusCode);
    }
}
