using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Storage;

/// <remarks>Accounts of apps (group I).</remarks>
public abstract partial class StoreConformanceTests
{
    [Fact]
    public async Task Accounts_are_kept_in_the_order_in_which_they_were_made_and_what_they_had_is_masked_until_it_is_pruned()
    {
        StoredAccount Made(string id, long row, string content) =>
            new(new(id), row, WorkspaceId.Default, Clock.GetUtcNow(), System.Text.Encoding.UTF8.GetBytes(content));
        StoredSecret Gone(string name) =>
            new(Ids.Next(), WorkspaceId.Default, name, true, new byte[] { 1, 2, 3 }, Clock.GetUtcNow(), Clock.GetUtcNow());
        await Store.SaveAccountAsync(Made("apn_b", 10, "first"), [], false, Ct);
        await Store.SaveAccountAsync(Made("apn_a", 20, "second"), [], false, Ct);
        await Store.SaveAccountAsync(Made("apn_b", 10, "changed"), [Gone("apn_b"), Gone("apn_b")], true, Ct);

        Assert.Equal(
            [("apn_b", 10, "changed"), ("apn_a", 20, "second")],
            (await Store.ListAccountsAsync(Ct)).Select(a => (a.Id.Value, (int)a.Row, System.Text.Encoding.UTF8.GetString(a.Sealed.Span)))
        );
        Assert.Equal(2, (await Store.ListSecretsAsync(Ct)).Count(static secret => secret.ReplacedAt is not null));

        Assert.True(await Store.DeleteAccountAsync(new("apn_b"), [Gone("apn_b")], Ct));
        Assert.False(await Store.DeleteAccountAsync(new("apn_b"), [], Ct));
        Assert.Equal("apn_a", Assert.Single(await Store.ListAccountsAsync(Ct)).Id.Value);
        Assert.Equal(3, (await Store.ListSecretsAsync(Ct)).Count);

        while ((await Store.PruneAsync(Clock.GetUtcNow().AddDays(1), 0, Ct)).More) { }
        Assert.Empty(await Store.ListSecretsAsync(Ct));
        Assert.Single(await Store.ListAccountsAsync(Ct));
    }
}
