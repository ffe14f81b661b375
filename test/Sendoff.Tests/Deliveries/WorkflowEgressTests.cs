using System.Net;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Deliveries;

/// <summary>D2: a workflow's own rules beside the server's.</summary>
public sealed class WorkflowEgressTests
{
    static readonly EgressPolicy server = new(["10.0.0.0/8"], ["10.9.0.0/16"]);

    static string? Verdict(EgressPolicy policy, string address, string host = "x.example") =>
        policy.FindBlock(host, [IPAddress.Parse(address)], 443);

    [Fact]
    public void An_allow_rule_of_either_allows_and_a_deny_rule_of_either_wins()
    {
        var policy = server.With(new("orders", ["192.168.1.0/24", "10.9.0.1"], ["10.1.0.0/16"]));
        Assert.Null(Verdict(policy, "10.2.0.1"));
        Assert.Null(Verdict(policy, "192.168.1.7"));
        Assert.Contains("\"10.1.0.0/16\" of the setting Egress:Workflows:orders:Deny", Verdict(policy, "10.1.0.1"));
        Assert.Contains("\"10.9.0.0/16\" of the setting Egress:Deny", Verdict(policy, "10.9.0.1"));
    }

    [Fact]
    public void A_workflow_that_denies_all_but_its_own_is_not_opened_by_the_server()
    {
        var policy = server.With(new("orders", ["api.example"], ["*"]));
        Assert.Null(Verdict(policy, "8.8.8.8", "api.example"));
        Assert.Contains(
            "to allow exactly this, add \"10.2.0.1:443\" to the setting Egress:Workflows:orders:Allow",
            Verdict(policy, "10.2.0.1")
        );
        Assert.DoesNotContain("Egress:Allow", Verdict(policy, "8.8.8.8"));
    }

    [Fact]
    public void A_server_that_denies_all_is_opened_for_one_workflow_by_its_own_rules()
    {
        var policy = new EgressPolicy([], ["*"]).With(new("orders", ["8.8.8.8"], []));
        Assert.Null(Verdict(policy, "8.8.8.8"));
        Assert.Contains(
            "add \"1.1.1.1:443\" to the setting Egress:Allow, or to Egress:Workflows:orders:Allow for this workflow alone",
            Verdict(policy, "1.1.1.1")
        );
    }

    [Fact]
    public void The_verdict_names_the_settings_that_would_allow_it()
    {
        Assert.EndsWith("add \"[::1]:443\" to the setting Egress:Allow", Verdict(server, "::1"));
        Assert.EndsWith(
            "add \"[::1]:443\" to the setting Egress:Allow, or to Egress:Workflows:orders:Allow for this workflow alone",
            Verdict(server.With(new("orders", [], ["x"])), "::1")
        );
    }

    [Fact]
    public void A_rule_that_is_none_names_the_workflows_setting()
    {
        var error = Assert.Throws<FormatException>(() => new EgressLayer("orders", ["10.0.0.1/8"], []));
        Assert.Equal("Egress:Workflows:orders:Allow: \"10.0.0.1/8\" is not a valid egress rule: did you mean 10.0.0.0/8?", error.Message);
    }

    [Fact]
    public void A_workflow_is_found_in_any_case_and_one_that_is_gone_may_reach_the_least()
    {
        var policies = new EgressPolicies(server, [new("orders", ["127.0.0.1"], []), new("mail", [], ["8.8.8.8"])]);
        Assert.Null(Verdict(policies.Of("Orders"), "127.0.0.1"));
        Assert.NotNull(Verdict(policies.Of("mail"), "127.0.0.1"));
        Assert.NotNull(Verdict(policies.Of("mail"), "8.8.8.8"));
        Assert.Null(Verdict(policies.Of("other"), "8.8.8.8"));
        Assert.NotNull(Verdict(policies.Of(null), "127.0.0.1"));
        Assert.NotNull(Verdict(policies.Of(null), "8.8.8.8"));
        Assert.Same(server, new EgressPolicies(server).Of(null));
    }

    [Fact]
    public async Task A_connection_that_one_workflow_may_use_does_not_serve_another()
    {
        await using var receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        var egress = new EgressOptions { Policies = new(EgressPolicy.Default, [new("open", ["127.0.0.1"], [])]) };
        using var sending = new Sending(
            egress: egress,
            nameOf: id =>
                id.Value switch
                {
                    1 => "open",
                    2 => "other",
                    _ => null,
                }
        );
        Task<Attempt> SendAsync(long workflow) =>
            sending.Sender.SendAsync(Sending.DeliveryOf(Sending.Post(receiver.Url)) with { WorkflowId = new(workflow) }, 1, 0, default);

        Assert.Equal(DeliveryStatus.Succeeded, (await SendAsync(1)).Status);
        foreach (long other in new[] { 2, 3 })
        {
            var blocked = await SendAsync(other);
            Assert.Equal((DeliveryStatus.Blocked, AttemptErrorCode.BlockedByEgressPolicy), (blocked.Status, blocked.Error!.Code));
        }
        Assert.True((await SendAsync(1)).ConnectionReused);
        Assert.Equal((1, 2), (receiver.Connections, receiver.Requests.Count));
    }
}
