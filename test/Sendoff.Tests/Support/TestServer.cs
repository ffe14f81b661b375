using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Server;
using Sendoff.Server.Api;

namespace Sendoff.Tests.Support;

/// <summary>A complete server in this process: real workers, a real database in a new folder, a real port.</summary>
sealed class TestServer : IAsyncDisposable
{
    public const string Token = "a-token-for-the-tests";
    readonly WebApplication app;
    readonly StoreThatBreaks breaking;
    readonly string folder;
    readonly bool keepFolder;

    TestServer(WebApplication app, string folder, bool keepFolder)
    {
        (this.app, this.folder, this.keepFolder) = (app, folder, keepFolder);
        breaking = (StoreThatBreaks)Store;
        Logs = app.Services.GetRequiredService<LogLines>().All;
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        Http = new HttpClient { BaseAddress = Address };
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
    }

    public Uri Address { get; }

    /// <summary>A client with the token.</summary>
    public HttpClient Http { get; }
    public IStore Store => app.Services.GetRequiredService<IStore>();

    public T Get<T>()
        where T : notnull => app.Services.GetRequiredService<T>();

    /// <summary>Warnings and errors, including those of the shutdown.</summary>
    public IReadOnlyCollection<string> Logs { get; }

    /// <summary>The address of the listener that serves only triggers.</summary>
    public Uri HooksAddress => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Last());
    public IdSequence Ids => app.Services.GetRequiredService<IdSequence>();

    /// <summary>Number of calls of each method of the store.</summary>
    public IReadOnlyDictionary<string, int> StoreCalls => breaking.Calls;

    /// <summary>The exception that every call of the store throws from now on.</summary>
    public Exception? StoreFails
    {
        set => breaking.Broken = value;
    }

    /// <inheritdoc cref="StoreThatBreaks.Entering"/>
    public Action<string>? StoreEntering
    {
        set => breaking.Entering = value;
    }

    /// <summary>A client without a token, cookies or redirects.</summary>
    public HttpClient NewClient() =>
        new(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = Address };

    public static async Task<TestServer> StartAsync(
        EngineLimits? limits = null,
        string? folder = null,
        Uri? publicUrl = null,
        EgressOptions? egress = null,
        SecretCipher? cipher = null,
        NodeRuntime? node = null,
        Func<EngineOptions, EngineOptions>? with = null,
        Func<ServerOptions, ServerOptions>? server = null,
        int port = 0
    )
    {
        string data = folder ?? Directory.CreateTempSubdirectory("sendoff-test-").FullName;
        var builder = ServerEndpoints.CreateBuilder();
        var logs = new LogLines();
        builder.Logging.ClearProviders().AddProvider(logs);
        builder.Services.AddSingleton(logs);
        var options = new ServerOptions
        {
            DataDirectory = data,
            Token = Token,
            PublicUrl = publicUrl,
        };
        options = server?.Invoke(options) ?? options;
        var own = ListenAddress.ReadList($"http://127.0.0.1:{port}")!;
        var listeners = await Listeners.PrepareAsync(
            own,
            options.HasHooksListener ? ListenAddress.ReadList("http://127.0.0.1:0/")! : [],
            false,
            default
        );
        builder.WebHost.ConfigureKestrel(kestrel => listeners.Bind(kestrel, null));
        var engine = new EngineOptions(
            data,
            node ?? TestNode.Runtime,
            (limits ?? new()) with
            {
                WorkersWarm = 0,
            },
            egress ?? Sending.Loopback,
            cipher ?? TestSecrets.Cipher
        );
        builder.Services.AddSendoffEngine(with?.Invoke(engine) ?? engine);
        builder.Services.AddSendoffServer(options);
        StoreThatBreaks.Wrap(builder.Services);
        var app = builder.Build();
        app.MapSendoff();
        try
        {
            await app.StartAsync();
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
        return new(app, data, keepFolder: folder is not null);
    }

    /// <summary>Signs a browser in and returns its <c>cookie</c> header.</summary>
    public async Task<string> SignInAsync()
    {
        using var browser = NewClient();
        using var signedIn = await browser.PostAsync("/signin", new FormUrlEncodedContent([new("token", Token)]));
        return signedIn.Headers.GetValues("set-cookie").Single().Split(';')[0];
    }

    /// <summary>Deploys one step, by default as a module, and returns its trigger's path.</summary>
    public Task<string> DeployAsync(string name, string code, string file = "step.mjs", string response = "default") =>
        DeployAsync(
            name,
            new()
            {
                ["workflow.yaml"] = $$"""
                name: {{name}}
                triggers: [ { type: http, key: {{name}}, response: {{response}} } ]
                steps: [ { namespace: step, uses: ./{{file}} } ]
                """,
                [file] = code,
            }
        );

    public async Task<string> DeployAsync(string name, Dictionary<string, string> files)
    {
        using var response = await Http.PutAsJsonAsync(
            $"/api/v1/workflows/{name}",
            new DeployDocument(files),
            ApiJson.Default.DeployDocument
        );
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync(ApiJson.Default.WorkflowDocument))!.Triggers[0].Url is { } url
            ? new Uri(url).AbsolutePath
            : "";
    }

    /// <summary>The event of an accepted request, as steps see it.</summary>
    public async Task<JsonElement> EventOfAsync(HttpResponseMessage accepted)
    {
        Assert.True(RunId.TryParse(accepted.Headers.GetValues("sendoff-run").Single(), out var id));
        var run = (await Store.GetRunAsync(id, default))!.Run;
        var received = app.Services.GetRequiredService<Concealment>().Open((await Store.GetEventAsync(run.EventId, default))!);
        return JsonElement.Parse(received.Json.Span, new() { MaxDepth = 1_000 });
    }

    /// <summary>Posts an event and returns the id of its run.</summary>
    public async Task<string> PostAsync(string hook, string json = "{}")
    {
        using var response = await Http.PostAsync(hook, new StringContent(json, Encoding.UTF8, "application/json"));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return response.Headers.GetValues("sendoff-run").Single();
    }

    /// <summary>Posts an event and returns its run after all of its deliveries have ended.</summary>
    public async Task<RunDocument> RunAsync(string hook, string json = "{}") => await EndOfAsync(await PostAsync(hook, json));

    /// <summary>The run after it and all of its deliveries have ended.</summary>
    public Task<RunDocument> EndOfAsync(string run) =>
        UntilAsync(
            run,
            static document =>
                document.Status is not ("queued" or "running")
                && document.Steps.SelectMany(s => s.Deliveries).All(d => d.Status is not ("pending" or "sending"))
        );

    /// <summary>The run when it meets the condition.</summary>
    public async Task<RunDocument> UntilAsync(string run, Func<RunDocument, bool> isWanted)
    {
        // Subscribe before the first read, so that no change in between is missed.
        using var listening = CancellationTokenSource.CreateLinkedTokenSource(Wait.Token);
        var changes = app.Services.GetRequiredService<ChangeFeed>().ListenAsync(listening.Token).GetAsyncEnumerator(listening.Token);
        var next = changes.MoveNextAsync().AsTask();
        while (true)
        {
            var document = await GetRunAsync(run);
            if (isWanted(document))
            {
                await listening.CancelAsync();
                return document;
            }
            do
            {
                await next;
                next = changes.MoveNextAsync().AsTask();
            } while (next.IsCompletedSuccessfully); // one read for all changes meanwhile
        }
    }

    public async Task<RunDocument> GetRunAsync(string run) =>
        JsonSerializer.Deserialize(await Http.GetStringAsync($"/api/v1/runs/{run}"), ApiJson.Default.RunDocument)!;

    public async ValueTask DisposeAsync()
    {
        StoreFails = null;
        Http.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
        if (!keepFolder)
            Directory.Delete(folder, recursive: true);
    }
}

/// <summary>One server for all tests of a class.</summary>
public sealed class SharedServer : IAsyncLifetime
{
    internal TestServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
