using System.Net;
using System.Net.Http.Json;
using Sendoff.Engine;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Sources;

/// <summary>The hooks of an HTTP source, against a service with webhooks (K4).</summary>
public sealed class SourceHookTests : IAsyncLifetime
{
    TestServer server = null!;
    WebhookApi api = null!;

    public async ValueTask InitializeAsync()
    {
        api = await WebhookApi.StartAsync();
        server = await TestServer.StartAsync(new EngineLimits { HookRetry = TimeSpan.FromMilliseconds(50) });
        api.Server = server.Address;
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        await api.DisposeAsync();
    }

    Dictionary<string, string> Files(string mark = "", string step = "return steps.trigger.event") =>
        SourceRig.Files(
            $$"""
            export default {
              key: "shop-new-order", name: "New Order", version: "0.0.1", type: "source", dedupe: "unique", // {{mark}}
              props: { db: "$.service.db", http: { type: "$.interface.http", customResponse: true } },
              methods: {
                async call(method, path, body) {
                  const response = await fetch("{{api.Url}}" + path, { method, body: body && JSON.stringify(body) });
                  if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
                  return response.status === 204 ? null : response.json();
                },
              },
              hooks: {
                async activate() { this.db.set("hook", (await this.call("POST", "/webhooks", { url: this.http.endpoint })).id); },
                async deactivate() { await this.call("DELETE", `/webhooks/${this.db.get("hook")}`); this.db.set("hook"); },
              },
              async run(event) {
                if (event.query.challenge) return this.http.respond({ status: 200, body: event.query.challenge });
                this.http.respond({ status: 202, body: event.bodyRaw });
                this.$emit(event.body, { id: event.body.id, summary: `order ${event.body.id}` });
              },
            };
            """,
            step: $"export default {{ async run({{ steps }}) {{ {step} }} }};"
        );

    async Task<HttpResponseMessage> PostAsync(int id) =>
        await server.Http.PostAsync(Assert.Single(api.Webhooks).Value, JsonContent.Create(new { id }));

    async Task<HttpStatusCode> ActAsync(string action) =>
        (
            action == "delete"
                ? await server.Http.DeleteAsync("/api/v1/workflows/feed")
                : await server.Http.PostAsync($"/api/v1/workflows/feed/{action}", null)
        ).StatusCode;

    [Fact]
    public async Task A_webhook_exists_as_long_as_its_source_is_active_and_follows_its_changes()
    {
        await server.DeploySourceAsync(Files());
        using (var answer = await PostAsync(1))
            Assert.Equal((HttpStatusCode.Accepted, """{"id":1}"""), (answer.StatusCode, await answer.Content.ReadAsStringAsync()));
        await server.DeploySourceAsync(Files(step: "return { ...steps.trigger.event, v: 2 }"));
        Assert.Equal(["create 1"], api.Calls); // the source is the same

        await server.DeploySourceAsync(Files("changed", "return { ...steps.trigger.event, v: 3 }"));
        Assert.Equal(["create 1", "delete 1", "create 2"], api.Calls);
        (await PostAsync(1)).Dispose();
        (await PostAsync(2)).Dispose();
        Assert.Equal(["""{"id":1}""", """{"id":2,"v":3}"""], await server.EventsAsync());

        string path = api.Webhooks.Single().Value;
        await ActAsync("disable");
        Assert.Empty(api.Webhooks);
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.PostAsync(path, null)).StatusCode);
        await ActAsync("enable");
        Assert.Equal(path, api.Webhooks.Single().Value);

        Assert.Equal(HttpStatusCode.NoContent, await ActAsync("delete"));
        Assert.Empty(api.Webhooks);
        Assert.Equal(["create 1", "delete 1", "create 2", "delete 2", "create 3", "delete 3"], api.Calls);
    }

    [Fact]
    public async Task A_hook_that_fails_is_named_by_the_deploy_and_called_again()
    {
        api.Failures.Enqueue(503);
        var deployed = await server.DeploySourceAsync(Files());
        var warning = Assert.Single(deployed.Warnings);
        Assert.Equal("the hook activate of the source 'source' failed: POST /webhooks: 503", warning.Message);
        await Wait.UntilAsync(() => api.Webhooks.Count == 1);
        await Wait.UntilAsync(async () => (await server.CallsAsync()).Contains("source:source:activate Succeeded"));
        Assert.Contains("source:source:activate Failed", await server.CallsAsync());
    }

    [Fact]
    public async Task A_removed_source_is_deactivated_and_forgotten()
    {
        await server.DeploySourceAsync(Files());
        var files = Files();
        files["workflow.yaml"] = "triggers: [ { type: http } ]\nsteps: [ { namespace: code, uses: ./code/entry.mjs } ]";
        await server.DeploySourceAsync(files);
        Assert.Equal(["create 1", "delete 1"], api.Calls);
        Assert.Empty(await server.Store.ListSourcesAsync(null, default));
    }

    [Fact]
    public async Task A_deletion_is_refused_while_deactivate_fails_and_a_second_one_is_not()
    {
        await server.DeploySourceAsync(Files());
        for (int i = 0; i < 100; i++)
            api.Failures.Enqueue(500);
        using var refused = await server.Http.DeleteAsync("/api/v1/workflows/feed");
        Assert.Equal(HttpStatusCode.Conflict, refused.StatusCode);
        Assert.Contains(
            "The hook deactivate of the source 'source' failed: DELETE /webhooks/1: 500. The workflow is disabled. Delete it again",
            await refused.Content.ReadAsStringAsync()
        );
        Assert.False((await server.Store.GetWorkflowAsync("feed", default))!.Enabled);
        Assert.Equal(HttpStatusCode.NoContent, await ActAsync("delete"));
    }
}
