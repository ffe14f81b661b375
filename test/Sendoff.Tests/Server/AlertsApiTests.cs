using System.Net;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Alerts as operators set and try them.</summary>
public sealed class AlertsApiTests(SharedServer shared) : IClassFixture<SharedServer>
{
    static CancellationToken Ct => TestContext.Current.CancellationToken;

    static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");

    static async Task<JsonElement> BodyAsync(HttpResponseMessage response) =>
        JsonElement.Parse(await response.Content.ReadAsByteArrayAsync(Ct));

    static async Task<JsonElement> CreateAsync(TestServer server, string json)
    {
        using var response = await server.Http.PostAsync("/api/v1/alerts", Json(json), Ct);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return await BodyAsync(response);
    }

    [Fact]
    public async Task An_alert_is_created_listed_changed_tested_and_deleted()
    {
        var server = shared.Server;
        await using var told = Sink.Start();
        var made = await CreateAsync(
            server,
            $$"""{"name":"ops","on":["backlog","run_failed"],"type":"webhook","url":"{{told.Url}}hook?key=hidden1"}"""
        );
        string id = made.GetProperty("id").GetString()!;
        Assert.StartsWith("alr_", id);
        Assert.Equal("run_failed,backlog", string.Join(',', made.GetProperty("on").EnumerateArray()));
        Assert.Equal(
            (900, true, $"{told.Url}hook…"),
            (made.GetProperty("quietSeconds").GetInt32(), made.GetProperty("recovered").GetBoolean(), made.GetProperty("url").GetString())
        );

        // Without a URL it keeps its own.
        using var changed = await server.Http.PutAsync(
            $"/api/v1/alerts/{id}",
            Json("""{"name":"night","on":["run_failed"],"type":"webhook","quietSeconds":60,"recovered":false}"""),
            Ct
        );
        Assert.Equal("night", (await BodyAsync(changed)).GetProperty("name").GetString());
        using var tested = await server.Http.PostAsync($"/api/v1/alerts/{id}/test", null, Ct);
        var run = await server.EndOfAsync((await BodyAsync(tested)).GetProperty("run").GetString()!);
        Assert.Equal(("sendoff/alerts", "succeeded"), (run.Workflow, Assert.Single(Assert.Single(run.Steps).Deliveries).Status));
        var request = Assert.Single(told.Requests);
        Assert.Equal("/hook?key=hidden1", request.Target);
        Assert.True(JsonElement.Parse(request.Body).GetProperty("test").GetBoolean());
        Assert.DoesNotContain(
            "hidden1",
            await server.Http.GetStringAsync($"/api/v1/runs/{run.Id}", Ct) + await server.Http.GetStringAsync("/api/v1/alerts", Ct)
        );
        // It is no workflow that anybody could run, change or delete.
        Assert.DoesNotContain("sendoff/alerts", await server.Http.GetStringAsync("/api/v1/workflows", Ct));
        using var again = await server.Http.PostAsync($"/api/v1/runs/{run.Id}/replay", null, Ct);
        Assert.Equal(HttpStatusCode.NotFound, again.StatusCode);

        using var deleted = await server.Http.DeleteAsync($"/api/v1/alerts/{id}", Ct);
        using var gone = await server.Http.DeleteAsync($"/api/v1/alerts/{id}", Ct);
        using var untested = await server.Http.PostAsync($"/api/v1/alerts/{id}/test", null, Ct);
        Assert.Equal(
            (HttpStatusCode.NoContent, HttpStatusCode.NotFound, HttpStatusCode.NotFound),
            (deleted.StatusCode, gone.StatusCode, untested.StatusCode)
        );
    }

    [Theory]
    [InlineData(
        """{"name":"a","on":["run_failed"],"type":"webhook","url":"ftp://example.com"}""",
        "Expected an absolute http or https URL"
    )]
    [InlineData("""{"name":"a","on":["run_failed"],"type":"slack","url":"https://user:pass@example.com/x"}""", "without user and password")]
    [InlineData("""{"name":"a","on":["run_failed"],"type":"slack"}""", "'url' is missing")]
    [InlineData(
        """{"name":"a","on":["run_failed"],"type":"webhook","url":"https://example.com","workflow":"ordres"}""",
        "There is no workflow 'ordres'. Did you mean 'orders'?"
    )]
    [InlineData("""{"name":"a","on":["run_failed"],"type":"email"}""", "Set Smtp:Host")]
    [InlineData("""{"name":"a","on":[],"type":"webhook","url":"https://example.com"}""", "'on' is empty")]
    [InlineData("""{"name":"a","on":["failed"],"type":"webhook","url":"https://example.com"}""", "'on' contains 'failed'")]
    [InlineData(
        """{"name":"a","on":"run_failed","type":"webhook","url":"https://example.com"}""",
        "'on' is a string. Expected an array of strings."
    )]
    [InlineData("""{"name":"a","on":["run_failed"],"type":"pager","url":"https://example.com"}""", "Expected one of email, webhook, slack")]
    [InlineData("""{"name":"","on":["run_failed"],"type":"webhook","url":"https://example.com"}""", "'name' must have 1 to 100 characters")]
    [InlineData("""{"on":["run_failed"],"type":"webhook","url":"https://example.com"}""", "'name' is missing")]
    [InlineData(
        """{"name":"a","on":["run_failed"],"type":"webhook","url":"https://example.com","quietSeconds":-1}""",
        "'quietSeconds' is -1"
    )]
    [InlineData(
        """{"name":"a","on":["run_failed"],"type":"webhook","url":"https://example.com","quietSeconds":1.5}""",
        "'quietSeconds' is 1.5. Expected a whole number."
    )]
    [InlineData("""{"name":"a","on":["backlog"],"type":"webhook","url":"https://example.com","backlogSeconds":0}""", "from 1 to 604800")]
    [InlineData("""{"name":"a","on":["backlog"],"type":"webhook","url":"https://example.com","backlogRuns":0}""", "'backlogRuns' is 0")]
    [InlineData(
        """{"name":"a","on":["run_failed"],"type":"webhook","url":"https://example.com","to":["a@example.com"]}""",
        "'to' is only for the type email"
    )]
    [InlineData(
        """{"name":"a","on":["run_failed"],"type":"webhook","url":"https://example.com","mail":1}""",
        "The field 'mail' is unknown"
    )]
    public async Task What_cannot_be_an_alert_is_refused_with_what_is_expected(string json, string expected)
    {
        var server = shared.Server;
        await server.DeployAsync("orders", "return 1", "step.js");
        using var response = await server.Http.PostAsync("/api/v1/alerts", Json(json), Ct);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(expected, (await BodyAsync(response)).GetProperty("detail").GetString());
    }

    [Fact]
    public async Task A_name_is_used_once_and_alerts_are_bounded()
    {
        await using var server = await TestServer.StartAsync(new EngineLimits { Alerts = 1 });
        const string alert = """{"name":"ops","on":["run_failed"],"type":"webhook","url":"https://example.com/"}""";
        await CreateAsync(server, alert);
        using var same = await server.Http.PostAsync("/api/v1/alerts", Json(alert), Ct);
        using var more = await server.Http.PostAsync("/api/v1/alerts", Json(alert.Replace("ops", "more")), Ct);
        Assert.Contains("An alert 'ops' already exists", await same.Content.ReadAsStringAsync(Ct));
        Assert.Contains("There are 1 alerts, which is the limit", await more.Content.ReadAsStringAsync(Ct));
    }

    [Fact]
    public async Task A_failed_run_is_told_by_email_to_the_addresses_that_the_server_allows()
    {
        await using var mail = new MailServer();
        await using var server = await TestServer.StartAsync(
            new EngineLimits { EmailAllowTo = ["*@example.com"] },
            with: options =>
                options with
                {
                    Smtp = new("127.0.0.1", mail.Port, From: "sendoff@example.com", To: "owner@example.com", Security: SmtpSecurity.None),
                    PagesOrigin = "https://sendoff.example.com",
                }
        );
        foreach (var (to, fault) in new[] { ("ops@elsewhere.com", "no pattern of Smtp:AllowTo"), ("ops", "is not an email address") })
        {
            using var refused = await server.Http.PostAsync(
                "/api/v1/alerts",
                Json($$"""{"name":"ops","on":["run_failed"],"type":"email","to":["{{to}}"]}"""),
                Ct
            );
            Assert.Contains(fault, await refused.Content.ReadAsStringAsync(Ct));
        }
        await CreateAsync(server, """{"name":"ops","on":["run_failed"],"type":"email","to":["night@example.com"]}""");
        var changes = server.Get<ChangeFeed>();
        await Wait.UntilAsync(() => changes.Ends is not null);
        var failed = await server.RunAsync(await server.DeployAsync("orders", "throw new Error('boom')", "step.js"));

        await Wait.UntilAsync(() => !mail.Messages.IsEmpty);
        string message = Assert.Single(mail.Messages);
        Assert.Contains("Subject: [Sendoff] orders: 1 run failed", message);
        Assert.Contains("boom", message);
        Assert.Contains($"https://sendoff.example.com/runs/{failed.Id}", message.Replace("=\r\n", ""));
        Assert.Contains(mail.Commands, command => command.Contains("night@example.com", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_alert_goes_nowhere_that_no_delivery_may_go()
    {
        await using var told = Sink.Start();
        await using var server = await TestServer.StartAsync(egress: EgressPolicy.Default);
        var made = await CreateAsync(server, $$"""{"name":"ops","on":["run_failed"],"type":"webhook","url":"{{told.Url}}"}""");
        using var tested = await server.Http.PostAsync($"/api/v1/alerts/{made.GetProperty("id").GetString()}/test", null, Ct);
        var run = await server.EndOfAsync((await BodyAsync(tested)).GetProperty("run").GetString()!);
        Assert.Equal("blocked", Assert.Single(Assert.Single(run.Steps).Deliveries).Status);
        Assert.Empty(told.Requests);
    }

    [Fact]
    public async Task Who_may_not_administer_looks_and_changes_nothing()
    {
        var server = shared.Server;
        using var made = await server.Http.PostAsync("/api/v1/tokens", Json("""{"name":"writer","scope":"write"}"""), Ct);
        using var http = server.NewClient();
        http.DefaultRequestHeaders.Authorization = new("Bearer", (await BodyAsync(made)).GetProperty("token").GetString());
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/api/v1/alerts", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await http.PostAsync("/api/v1/alerts", Json("{}"), Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, (await http.PostAsync("/api/v1/alerts/alr_0000000000001/test", null, Ct)).StatusCode);
    }
}
