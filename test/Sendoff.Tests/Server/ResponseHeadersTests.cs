using System.Text.Json;
using Sendoff.Server.Auth;
using Sendoff.Server.Triggers;

namespace Sendoff.Tests.Server;

/// <summary>The header lines of a response. The harness's responseHeaders.test.mjs reads the same cases, so that the step is warned of all
/// that is left out.</summary>
public sealed class ResponseHeadersTests
{
    static readonly Cases cases = JsonSerializer.Deserialize<Cases>(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "cases", "response-headers.json")),
        JsonSerializerOptions.Web
    )!;

    [Fact]
    public void Lines_that_a_response_cannot_carry_are_told_from_those_that_it_can()
    {
        Assert.All(cases.Lines, one => Assert.Equal(one.IsSent, ResponseHeaders.IsSent(new(one.Name, one.Value))));
        Assert.Contains(cases.Lines, one => !one.IsSent && one.Value.StartsWith(SessionCookie.Name + "=", StringComparison.Ordinal));
    }

    [Fact]
    public void Each_name_that_is_left_out_is_a_case() =>
        Assert.Equal(
            ResponseHeaders.Dropped.Order(),
            cases.Lines.Where(one => !one.IsSent && one.Value == "1").Select(one => one.Name.ToLowerInvariant()).Order()
        );

    [Fact]
    public void One_media_type_is_told_from_what_a_browser_could_take_for_another_one() =>
        Assert.All(
            cases.Types,
            one =>
                Assert.Equal(
                    one.IsGood,
                    ResponseHeaders.FindBadType([.. one.Values.Select(value => new Header("Content-Type", value))]) is null
                )
        );

    sealed record Cases(LineCase[] Lines, TypeCase[] Types);

    sealed record LineCase(string Name, string Value, bool IsSent);

    sealed record TypeCase(string[] Values, bool IsGood);
}
