using System.Net.Http.Json;
using Microsoft.Playwright;
using Sendoff.Engine.Alerts;
using Sendoff.Server.Api;
using Sendoff.Tests.Server;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Browser;

/// <summary>Tests that look at the pages in Chromium: one server and one browser for all of them, one test after the other.</summary>
[CollectionDefinition("browser")]
public sealed class BrowserTests : ICollectionFixture<Site>;

/// <summary>A server with workflows, runs and a receiver, and a Chromium that looks at it.</summary>
public sealed class Site : IAsyncLifetime
{
    static readonly string? chromium = new[]
    {
        "/usr/bin/chromium-headless-shell",
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    }.FirstOrDefault(File.Exists);

    // Chromium's own look-ups and updates would be requests that leave the machine.
    static readonly string[] quiet =
    [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ];

    IPlaywright? playwright;
    IBrowser? browser;
    Receiver? receiver;
    TestServer? server;
    string? session;

    internal TestServer Server => server!;
    internal Receiver Receiver => receiver!;

    /// <summary>A run with everything that a document can hold.</summary>
    public string Sample { get; private set; } = "";

    /// <summary>A run of the workflow that is looked at in the editor.</summary>
    public string Tested { get; private set; } = "";

    /// <summary>A run of its next version for the same event.</summary>
    public string Compared { get; private set; } = "";

    /// <summary>The event of the run <see cref="Compared"/>.</summary>
    public string Event { get; private set; } = "";

    static Dictionary<string, string> ContactForm(string receiver) =>
        new()
        {
            ["workflow.yaml"] = $$$"""
                # Answers a contact form, and tells every webhook of the team.
                name: contact
                triggers:
                  - type: http
                    key: contact
                  # Due in leap years only.
                  - type: schedule
                    cron: "0 0 29 2 *"
                steps:
                  - namespace: validate
                    uses: ./validate/entry.mjs
                  # What the team reads.
                  - namespace: notify
                    uses: ./notify/entry.mjs
                    props:
                      text: "{{steps.validate.name}} writes: {{steps.trigger.event.body.message}}"
                      language: en
                      webhooks:
                        - {{{receiver}}}chat
                        - {{{receiver}}}crm

                """,
            ["validate/entry.mjs"] = """
                // Ends the run when something is missing.
                export default defineComponent({
                  async run({ steps, $ }) {
                    const { name, email } = steps.trigger.event.body;
                    if (!email?.includes("@")) return $.flow.exit("no e-mail address");
                    $.export("name", name);
                    return { email };
                  },
                });

                """,
            ["notify/entry.mjs"] = """
                export default defineComponent({
                  props: {
                    text: { type: "string", label: "Text", description: "What the webhooks are told." },
                    language: { type: "string", label: "Language", options: [{ label: "English", value: "en" }, { label: "Deutsch", value: "de" }], default: "en" },
                    webhooks: { type: "string[]", label: "Webhooks" },
                    retries: { type: "integer", label: "Retries", optional: true, default: 3 },
                  },
                  async run({ steps, $ }) {
                    for (const url of this.webhooks) {
                      $.send.http({ method: "POST", url, data: { text: this.text, language: this.language } });
                    }
                    return { told: this.webhooks.length };
                  },
                });

                """,
        };

    public async ValueTask InitializeAsync()
    {
        if (chromium is null)
            return;
        Assertions.SetDefaultExpectTimeout((float)Wait.Limit.TotalMilliseconds);
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = chromium, Args = quiet });
        receiver = Receiver.Answering("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"stored\":true}");
        server = await TestServer.StartAsync();
        await server
            .Get<AlertRules>()
            .SaveAsync(
                new(
                    new(server.Ids.Next()),
                    "on call",
                    null,
                    AlertCauses.Backlog,
                    AlertKind.Slack,
                    ["https://hooks.slack.com/services/T0/B0/secret"],
                    TimeSpan.FromMinutes(15),
                    true
                ),
                default
            );
        // Their times are of days before.
        Sample = (await SampleRuns.AddAsync(server)).ToString();
        await SampleRuns.AddAsync(server, RunStatus.Failed);
        await server.DeployAsync(
            "notify",
            $$"""
            export default defineComponent({ async run({ steps, $ }) {
              console.log("telling", steps.trigger.event.body.names.length);
              for (const name of steps.trigger.event.body.names) $.send.http({ method: "POST", url: "{{receiver.Url}}in?name=" + name, data: { name } });
              return { told: steps.trigger.event.body.names.length };
            } });
            """
        );
        await server.DeployAsync(
            "invoice",
            "export default defineComponent({ async run({ steps }) {\n  return steps.trigger.event.body.customer.id;\n} });"
        );
        await server.DeployAsync(
            "hello",
            """export default defineComponent({ async run({ $ }) { await $.respond({ status: 200, body: "hello" }); } });""",
            response: "custom"
        );
        await server.DeployAsync("contact", ContactForm(receiver.Url));
        Tested = (await server.RunAsync("/hooks/contact", """{"name":"Ben","email":"ben@example.com","message":"Hello there."}""")).Id;
        var next = ContactForm(receiver.Url);
        next["notify/entry.mjs"] = next["notify/entry.mjs"]
            .Replace("{ text: this.text, language", "{ text: this.text.trim(), from: \"contact form\", language", StringComparison.Ordinal);
        next["workflow.yaml"] = next["workflow.yaml"].Replace("chat\n", "team-chat\n", StringComparison.Ordinal);
        await server.DeployAsync("contact", next);
        var compared = await server.RunAsync("/hooks/contact", """{"name":"Ben","email":"ben@example.com","message":"Hello there."}""");
        (Compared, Event) = (compared.Id, compared.EventId);
        foreach (string key in new[] { "last/run", "total" })
            await server.Store.SetValueAsync(
                new(default, "counters"),
                new(key, """{"count":41,"of":["orders","invoices"],"at":"2026-11-27T08:00:00Z"}"""u8.ToArray(), DateTimeOffset.UtcNow),
                new(100, 1_000_000, 1_000_000),
                default
            );
        await server.RunAsync("/hooks/notify", """{"names":["Luke","Han","Leia"]}""");
        await server.RunAsync("/hooks/invoice", "{}");
    }

    /// <summary>Skips the test where there is no Chromium, and fails it there in CI.</summary>
    public static void NeedsChromium()
    {
        if (chromium is not null)
            return;
        const string why = "Chromium is not installed: apt-get install chromium-headless-shell (or chromium)";
        Assert.False(Environment.GetEnvironmentVariable("CI") == "true", why);
        Assert.Skip(why);
    }

    /// <summary>A link that signs in once.</summary>
    public async Task<string> LinkAsync()
    {
        using var made = await Server.Http.PostAsync("/api/v1/tokens/sign-in", null);
        return (await made.Content.ReadFromJsonAsync(ApiJson.Default.SignInDocument))!.Url.PathAndQuery;
    }

    /// <summary>Signs a window in on a server of a test's own, and opens a page of it.</summary>
    internal static async Task OpenAsync(Window window, TestServer server, string path)
    {
        string[] cookie = (await server.SignInAsync()).Split('=', 2);
        await window.Context.AddCookiesAsync([
            new()
            {
                Name = cookie[0],
                Value = cookie[1],
                Url = server.Address.ToString(),
            },
        ]);
        await window.Page.GotoAsync(new Uri(server.Address, path).ToString());
    }

    /// <summary>A browser window without a session.</summary>
    public async Task<Window> OpenStrangerAsync(ColorScheme scheme = ColorScheme.Light, int width = 1440)
    {
        NeedsChromium();
        var context = await browser!.NewContextAsync(
            new()
            {
                BaseURL = Server.Address.ToString(),
                ColorScheme = scheme,
                ViewportSize = new() { Width = width, Height = width > 800 ? 900 : 844 },
                TimezoneId = "UTC",
                StorageState = null,
            }
        );
        context.SetDefaultTimeout((float)Wait.Limit.TotalMilliseconds);
        return new(context, await context.NewPageAsync(), Server.Address);
    }

    /// <summary>A browser window that is signed in.</summary>
    public async Task<Window> OpenAsync(ColorScheme scheme = ColorScheme.Light, int width = 1440)
    {
        var window = await OpenStrangerAsync(scheme, width);
        if (session is null)
        {
            await window.Page.GotoAsync(await LinkAsync());
            session = (await window.Context.CookiesAsync()).Single(cookie => cookie.Name == "sendoff_session").Value;
        }
        else
            await window.Context.AddCookiesAsync([
                new()
                {
                    Name = "sendoff_session",
                    Value = session,
                    Url = Server.Address.ToString(),
                },
            ]);
        return window;
    }

    public async ValueTask DisposeAsync()
    {
        if (browser is not null)
            await browser.DisposeAsync();
        playwright?.Dispose();
        if (server is not null)
            await server.DisposeAsync();
        if (receiver is not null)
            await receiver.DisposeAsync();
    }
}

/// <summary>A browser window that notes what it should not see: errors on the console, dialogs, and requests that leave the
/// server.</summary>
public sealed class Window : IAsyncDisposable
{
    readonly List<string> faults = [];

    public Window(IBrowserContext context, IPage page, Uri server)
    {
        (Context, Page) = (context, page);
        string origin = server.GetLeftPart(UriPartial.Authority);
        page.Console += (_, message) =>
        {
            if (message.Type == "error" && !IsStatusLine(message.Text))
                faults.Add($"console: {message.Text}");
        };
        page.PageError += (_, error) => faults.Add($"error: {error}");
        page.Dialog += (_, dialog) =>
        {
            faults.Add($"dialog: {dialog.Message}");
            _ = dialog.DismissAsync();
        };
        page.Request += (_, request) =>
        {
            if (
                !request.Url.StartsWith(origin, StringComparison.Ordinal)
                && !request.Url.StartsWith("data:", StringComparison.Ordinal)
                && !request.Url.StartsWith("blob:", StringComparison.Ordinal)
            )
                faults.Add($"request: {request.Url}");
        };
    }

    public IBrowserContext Context { get; }
    public IPage Page { get; }
    public IReadOnlyList<string> Faults => faults;

    /// <summary>Presses a button that asks first, and confirms.</summary>
    public async Task ConfirmAsync(string label)
    {
        await Page.Locator($"summary[aria-label='{label}']").ClickAsync();
        await Page.GetByRole(AriaRole.Button, new() { Name = $"{label}: confirm", Exact = true }).ClickAsync();
    }

    // What Chromium says of any answer of 400 and more, also of a page that is meant to be one.
    static bool IsStatusLine(string text) =>
        text.StartsWith("Failed to load resource: the server responded with a status of 4", StringComparison.Ordinal);

    public ValueTask DisposeAsync() => new(Context.CloseAsync());
}
