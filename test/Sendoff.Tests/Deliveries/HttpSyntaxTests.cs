using System.Text.Json;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Tests.Deliveries;

/// <summary>The grammar of methods, URLs and header lines. The harness's httpSyntax.test.mjs reads the same cases.</summary>
public sealed class HttpSyntaxTests
{
    static readonly Cases cases = JsonSerializer.Deserialize<Cases>(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "cases", "http-syntax.json")),
        JsonSerializerOptions.Web
    )!;

    [Fact]
    public void Url_that_the_harness_sends_is_taken_and_one_that_it_refuses_is_not()
    {
        Assert.All(
            cases.Urls,
            one =>
            {
                Assert.Equal(one.Sent is not null, HttpSyntax.IsUrl(one.Sent ?? one.Url));
                Assert.Equal(one.Sent is not null, Destination.TryParse(one.Sent ?? one.Url, out _, out _));
            }
        );
        Assert.True(cases.Urls.Length > 50);
    }

    [Fact]
    public void Tokens_methods_and_header_values_are_told_from_what_a_request_cannot_hold()
    {
        Assert.All(cases.Methods, one => Assert.Equal(one.IsLegal, HttpSyntax.IsMethod(one.Text)));
        Assert.All(cases.HeaderValues, one => Assert.Equal(one.IsLegal, HttpSyntax.IsHeaderValue(one.Text)));
        Assert.All(
            cases.Tokens,
            one =>
            {
                Assert.Equal(one.IsLegal, HttpSyntax.IsToken(one.Text));
                if (one.Text.Length > 0 && one.Text.All(char.IsAscii))
                    Assert.Equal(one.IsLegal, one.Text.All(c => HttpSyntax.TokenBytes.Contains((byte)c)));
            }
        );
    }

    [Theory]
    [InlineData("http://u@a.test/")]
    [InlineData("http://a.test/#b")]
    [InlineData("http://a.test/a b")]
    [InlineData("http://a.test/é")]
    [InlineData("http://a.test\\b/")]
    public void Url_that_is_not_in_its_normal_form_is_not_taken(string url) => Assert.False(HttpSyntax.IsUrl(url));

    sealed record Cases(UrlCase[] Urls, TextCase[] Methods, TextCase[] Tokens, TextCase[] HeaderValues);

    sealed record UrlCase(string Url, string? Sent);

    sealed record TextCase(string Text, bool IsLegal);
}
