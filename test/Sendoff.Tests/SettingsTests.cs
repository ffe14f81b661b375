namespace Sendoff.Tests;

public sealed class SettingsTests
{
    static (Settings Settings, IReadOnlyList<string> Warnings) Read(string key, string value) =>
        Settings.Read([new(key, value)], development: false);

    [Fact]
    public void Values_are_read_with_their_units()
    {
        Assert.Equal(TimeSpan.FromMilliseconds(500), Read("Delivery:Deadline", "500ms").Settings.Limits.DeliveryDeadline);
        Assert.Equal(2 * 1024 * 1024, Read("Sends:MaxBodyBytes", "2MB").Settings.Limits.SendBodyBytes);
        Assert.Equal(TimeSpan.FromDays(30), Read("Retention:Age", "30d").Settings.Limits.RetentionAge);
        Assert.Equal(new Uri("https://hooks.example.com"), Read("PublicUrl", "https://hooks.example.com").Settings.PublicUrl);
        Assert.Equal(10, Read("Delivery:MaxRedirects", "10").Settings.Limits.DeliveryMaxRedirects);
        Assert.True(Read("Delivery:IdempotencyKey", "true").Settings.Limits.DeliveryIdempotencyKey);
        Assert.True(Read("Delivery:Traceparent", "True").Settings.Limits.DeliveryTraceparent);
        Assert.Equal(["10.0.0.0/8", "*.internal"], Read("Egress:Allow", "10.0.0.0/8, *.internal").Settings.EgressAllow);
    }

    [Theory]
    [InlineData("Delivery:Deadline", "soon")]
    [InlineData("Delivery:MaxConcurrent", "-1")]
    [InlineData("Delivery:MaxRedirects", "11")]
    [InlineData("Delivery:MaxRedirects", "many")]
    [InlineData("Delivery:IdempotencyKey", "yes")]
    [InlineData("Listen", "5180")]
    [InlineData("PublicUrl", "hooks.example.com")]
    [InlineData("PublicUrl", "https://example.com/sendoff")]
    [InlineData("Workers:Memory", "1MB")]
    [InlineData("Auth:Token", "short")]
    public void A_bad_value_names_the_key_the_value_and_what_is_expected(string key, string value)
    {
        var error = Assert.Throws<SettingsException>(() => Read(key, value));
        Assert.StartsWith($"the setting {key} is '{value}'; expected ", error.Message);
    }

    [Fact]
    public void An_unknown_key_is_named_in_a_warning()
    {
        Assert.Contains("Delivery:Dedline", Assert.Single(Read("Delivery:Dedline", "5s").Warnings));
    }

    [Fact]
    public void Only_the_development_profile_allows_loopback()
    {
        Assert.Empty(Settings.Read([], development: false).Settings.EffectiveAllow);
        Assert.Equal(Settings.Loopback, Settings.Read([], development: true).Settings.EffectiveAllow);
    }
}
