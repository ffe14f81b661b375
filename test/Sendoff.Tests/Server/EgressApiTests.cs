using System.Net;
using System.Text.Json;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>D2 and D3 from outside: what is published, and whose rules are in force.</summary>
public sealed class EgressApiTests
{
    static async Task<JsonElement> GetAsync(HttpClient client, string path)
    {
        using var response = await client.GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return JsonElement.Parse(await response.Content.ReadAsByteArrayAsync());
    }

    static EgressProxy Proxy(string text) => EgressProxy.TryParse(text, out var proxy) ? proxy : throw new FormatException(text);

    [Fact]
    public async Task Without_fixed_addresses_everybody_is_told_so_plainly()
    {
        await using var server = await TestServer.StartAsync();
        using var anybody = server.NewClient();
        Assert.Equal("""{"fixed":false,"addresses":[]}""", (await GetAsync(anybody, "/.well-known/egress.json")).GetRawText());
        Assert.Contains(
            "Outgoing IP: chosen by the system (none pinned)",
            WebUtility.HtmlDecode(await server.Http.GetStringAsync("/deliveries"))
        );
    }

    [Fact]
    public async Task Addresses_are_published_as_declared_and_the_rules_only_to_who_signs_in()
    {
        var egress = new EgressOptions
        {
            Policies = new(new EgressPolicy(["127.0.0.0/8"], ["*:25"]), [new("orders", ["10.0.0.0/8"], []), new("mail", [], ["*"])]),
            Addresses = new([IPAddress.Parse("127.0.0.2")]),
            PublicAddresses = ["203.0.113.7", "2001:db8::/64"],
        };
        await using var server = await TestServer.StartAsync(egress: egress);
        using var anybody = server.NewClient();

        Assert.Equal(
            """{"fixed":true,"addresses":["203.0.113.7","2001:db8::/64"]}""",
            (await GetAsync(anybody, "/.well-known/egress.json")).GetRawText()
        );
        Assert.Equal(HttpStatusCode.Unauthorized, (await anybody.GetAsync("/api/v1/egress")).StatusCode);
        Assert.Equal(
            """{"fixed":true,"addresses":["203.0.113.7","2001:db8::/64"],"localAddresses":["127.0.0.2"],"proxy":null,"allow":["127.0.0.0/8"],"deny":["*:25"],"""
                + """ "workflows":[{"workflow":"mail","allow":[],"deny":["*"]},{"workflow":"orders","allow":["10.0.0.0/8"],"deny":[]}],"development":false}""".TrimStart(),
            (await GetAsync(server.Http, "/api/v1/egress")).GetRawText()
        );
        Assert.Contains("Sent from 203.0.113.7, 2001:db8::/64", await server.Http.GetStringAsync("/deliveries"));
    }

    [Fact]
    public async Task A_proxy_is_shown_without_its_password()
    {
        await using var server = await TestServer.StartAsync(
            egress: new EgressOptions { Proxy = Proxy("http://user:hunter2@proxy.example:3128") }
        );
        string document = (await GetAsync(server.Http, "/api/v1/egress")).GetRawText(),
            page = await server.Http.GetStringAsync("/deliveries");
        Assert.Contains("\"proxy\":\"http://proxy.example:3128\"", document);
        Assert.Contains("Outgoing IP: chosen by the proxy http://proxy.example:3128 (none pinned)", page);
        Assert.DoesNotContain("hunter2", document + page);
    }

    [Fact]
    public async Task A_workflow_that_may_reach_more_does_and_its_neighbour_is_told_which_settings_would_let_it()
    {
        await using var receiver = Sink.Start();
        var egress = new EgressOptions
        {
            Policies = new(EgressPolicy.Default, [new("may", ["127.0.0.1"], []), new("denied", ["127.0.0.1"], ["127.0.0.0/8"])]),
        };
        await using var server = await TestServer.StartAsync(egress: egress);
        async Task<(string Status, string? Message)> SendAsync(string name)
        {
            string hook = await server.DeployAsync(name, $$"""$send.http({ method: "POST", url: "{{receiver.Url}}" });""", "step.js");
            var delivery = Assert.Single((await server.RunAsync(hook)).Steps[0].Deliveries);
            return (delivery.Status, delivery.Error?.Message);
        }

        string target = new Uri(receiver.Url).Authority;
        Assert.Equal(("succeeded", null), await SendAsync("may"));
        var (status, message) = await SendAsync("neighbour");
        Assert.Equal("blocked", status);
        Assert.EndsWith($"add \"{target}\" to the setting Egress:Allow", message);
        (status, message) = await SendAsync("denied");
        Assert.Equal("blocked", status);
        Assert.Contains("the rule \"127.0.0.0/8\" of the setting Egress:Workflows:denied:Deny", message);
        Assert.Single(receiver.Requests);
    }
}
