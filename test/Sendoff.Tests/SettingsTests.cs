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

    [Fact]
    public void Egress_settings_are_read_with_those_of_workflows()
    {
        var (settings, warnings) = Settings.Read(
            [
                new("Egress:Addresses", "203.0.113.7, 2001:DB8::7,203.0.113.8"),
                new("Egress:PublicAddresses", "198.51.100.7,198.51.100.16/28"),
                new("egress:workflows:orders:allow", "10.0.0.0/8, a.example"),
                new("Egress:Workflows:Orders:Deny", "*"),
                new("Egress:Workflows:a:b:Deny", "x.example"),
                new("Egress:Workflows:orders:Alow", "*"),
            ],
            development: false
        );

        Assert.Equal(["203.0.113.7", "2001:db8::7", "203.0.113.8"], settings.EgressAddresses.Select(a => a.ToString()));
        Assert.Equal(["198.51.100.7", "198.51.100.16/28"], settings.EgressPublicAddresses);
        Assert.Equal(["10.0.0.0/8", "a.example"], settings.EgressWorkflows["orders"].Allow);
        Assert.Equal(["*"], settings.EgressWorkflows["orders"].Deny);
        Assert.Equal(["x.example"], settings.EgressWorkflows["a:b"].Deny);
        Assert.Contains("Egress:Workflows:orders:Alow", Assert.Single(warnings));
        Assert.Equal(
            "socks5://proxy.example:1080",
            Read("Egress:Proxy", "socks5://user:pass@proxy.example").Settings.EgressProxy!.ToString()
        );
    }

    [Fact]
    public void A_bad_proxy_is_not_printed_as_it_may_hold_a_password()
    {
        var error = Assert.Throws<SettingsException>(() => Read("Egress:Proxy", "https://user:hunter2@proxy.example"));
        Assert.StartsWith("the setting Egress:Proxy is '••••••••'; expected http://", error.Message);
    }

    [Theory]
    [InlineData("Egress:Addresses", "0.0.0.0")]
    [InlineData("Egress:Addresses", "::")]
    [InlineData("Egress:Addresses", "10.1")]
    [InlineData("Egress:Addresses", "10.0.0.1,egress.example")]
    [InlineData("Egress:PublicAddresses", "203.0.113.1/28")]
    [InlineData("Delivery:Deadline", "soon")]
    [InlineData("Delivery:MaxConcurrent", "-1")]
    [InlineData("Delivery:MaxRedirects", "11")]
    [InlineData("Delivery:MaxRedirects", "many")]
    [InlineData("Delivery:IdempotencyKey", "yes")]
    [InlineData("Servers:Roles", "")]
    [InlineData("Servers:Roles", "ingest,")]
    [InlineData("Servers:Roles", "Ingest")]
    [InlineData("Servers:Roles", "ingest,web")]
    [InlineData("Listen", "5180")]
    [InlineData("Listen", "http://")]
    [InlineData("Listen", "ftp://localhost:5180")]
    [InlineData("Listen", "http://*:5180")]
    [InlineData("Listen", "http://+:5180")]
    [InlineData("Listen", "http://localhost:5180/base")]
    [InlineData("Listen", "http://user@localhost:5180")]
    [InlineData("Listen", "http://localhost:5180?a=1")]
    [InlineData("Listen", "http://localhost:99999")]
    [InlineData("Listen", "http://10.1:5180")]
    [InlineData("Listen", "http://unix:relative.sock")]
    [InlineData("Listen", "http://unix:/")]
    [InlineData("Listen", "http://localhost:5180,nonsense")]
    [InlineData("Hooks:Listen", "5181")]
    [InlineData("Hooks:PublicUrl", "https://example.com/hooks")]
    [InlineData("Tls:Certificate", "/nowhere/tls.pem")]
    [InlineData("Auth:SessionAge", "10s")]
    [InlineData("Auth:SessionAge", "400d")]
    [InlineData("Auth:MaxSessions", "0")]
    [InlineData("PublicUrl", "hooks.example.com")]
    [InlineData("PublicUrl", "https://example.com/sendoff")]
    [InlineData("Workers:Memory", "1MB")]
    public void A_bad_value_names_the_key_the_value_and_what_is_expected(string key, string value)
    {
        var error = Assert.Throws<SettingsException>(() => Read(key, value));
        Assert.StartsWith($"the setting {key} is '{value}'; expected ", error.Message);
    }

    [Theory]
    [InlineData("Auth:Token", "short")]
    [InlineData("Secrets:Key", "c2hvcnQ=")]
    public void A_bad_value_that_is_a_secret_is_not_shown(string key, string value)
    {
        var error = Assert.Throws<SettingsException>(() => Read(key, value));
        Assert.StartsWith($"the setting {key} is '••••••••'; expected ", error.Message);
    }

    [Theory]
    [InlineData("Delivery:Dedline", "unknown setting Delivery:Dedline, which has no effect; did you mean Delivery:Deadline?")]
    [InlineData("DeliveryDeadline", "did you mean Delivery:Deadline?")]
    [InlineData("Lissten", "did you mean Listen?")]
    [InlineData("Egress:Workflows:orders:Alow", "did you mean Egress:Workflows:orders:Allow?")]
    [InlineData("Egress:Allow:0", "did you mean Egress:Allow?")]
    [InlineData("Xylophone", "unknown setting Xylophone, which has no effect; docs/operating.md lists all settings")]
    public void An_unknown_key_is_named_in_a_warning_with_the_one_that_was_probably_meant(string key, string says)
    {
        Assert.EndsWith(says, Assert.Single(Read(key, "5s").Warnings));
    }

    [Fact]
    public void Only_the_development_profile_allows_loopback()
    {
        Assert.Empty(Settings.Read([], development: false).Settings.EffectiveAllow);
        Assert.Equal(Settings.Loopback, Settings.Read([], development: true).Settings.EffectiveAllow);
    }
}
