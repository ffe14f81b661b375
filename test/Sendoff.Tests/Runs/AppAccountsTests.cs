using Sendoff.Engine.Runs;

namespace Sendoff.Tests.Runs;

/// <summary>Which variables and secrets are fields of accounts.</summary>
public sealed class AppAccountsTests
{
    [Fact]
    public void A_name_with_a_double_underscore_is_an_apps_field()
    {
        var accounts = AppAccounts.From(
            Named("SLACK__OAUTH_ACCESS_TOKEN", "SLACK__TEAM", "google_sheets__api_key", "APN_DphexA__KEY", "X__A__B")
        );

        Assert.Equal(["apn_dphexa", "google_sheets", "slack", "x"], accounts.Keys.Order());
        Assert.Equal(["oauth_access_token", "team"], accounts["slack"].Keys.Order());
        Assert.Equal("value of google_sheets__api_key", accounts["google_sheets"]["api_key"]);
        Assert.Equal(["a__b"], accounts["x"].Keys);
    }

    [Fact]
    public void Other_names_are_none() => Assert.Empty(AppAccounts.From(Named("TOKEN", "API_KEY", "__A", "_X__A", "A__")));

    [Fact]
    public void Of_names_that_differ_in_case_only_always_the_same_one_wins()
    {
        Assert.Equal("value of slack__key", AppAccounts.From(Named("slack__key", "SLACK__KEY"))["slack"]["key"]);
        Assert.Equal("value of slack__key", AppAccounts.From(Named("SLACK__KEY", "slack__key"))["slack"]["key"]);
    }

    static Dictionary<string, string> Named(params string[] names) =>
        names.ToDictionary(static name => name, static name => $"value of {name}");
}
