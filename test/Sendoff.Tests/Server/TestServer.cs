using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Events;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;
using Sendoff.Server;

namespace Sendoff.Tests.Server;

/// <summary>The server alone on a loopback port, with the engine's part played by the test.</summary>
sealed class TestServer : IAsyncDisposable
{
    public const string Token = "a-token-of-the-tests-0123456789";

    WebApplication app = null!;

    readonly string folder = Directory.CreateTempSubdirectory("sendoff-").FullName;
    StoreThatBreaks switched = null!;

    public IStore Store { get; private set; } = null!;
    /// <summary>What every call of the store throws from now on.</summary>
    public Exception? StoreFails { set => switched.Broken = value; }
    public ChangeFeed Changes { get; } = new();
    public IdSequence Ids { get; } = new(TimeProvider.System);
    public Uri Url { get; private set; } = null!;
    /// <summary>Carries the token.</summary>
    public HttpClient Client { get; private set; } = null!;
    public Workflow Orders { get; private set; } = null!;

    /// <summary>How the trigger <c>orders</c> answers.</summary>
    public TriggerResponse Answer { get; set; } = TriggerResponse.Default;
    public bool Enabled { get; set; } = true;
    public Exception? AcceptFails { get; set; }
    /// <summary>What the run gives to <c>$.respond</c>.</summary>
    public Task<RunResponse?> Responds { get; set; } = Task.FromResult<RunResponse?>(null);
    public List<JsonElement> Events { get; } = [];
    public List<DeliveryId> Resent { get; } = [];
    public DeployResult Deployed { get; set; } = new(null, []);
    public IReadOnlyDictionary<string, string>? Files { get; private set; }

    public static async Task<TestServer> StartAsync(ServerOptions? options = null, EngineLimits? limits = null, int port = 0)
    {
        var server = new TestServer();
        (server.Store, server.switched) = StoreThatBreaks.Of(await OpenStoreAsync(server.folder, server.Ids));
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.Services.AddSingleton(server.Store).AddSingleton(server.Changes).AddSingleton(TimeProvider.System).AddSingleton(limits ?? new());
        builder.Services.AddSendoffServer(options ?? new() { DataDirectory = ".", Token = Token });
        builder.Services.AddSingleton(server.Actions());
        server.app = builder.Build();
        server.app.MapSendoff();
        await server.app.StartAsync();
        server.Url = new(server.app.Urls.Single());
        server.Client = server.NewClient();
        server.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        server.Orders = await server.Store.DeployAsync("orders", new Dictionary<string, string> { ["step.js"] = "return 1" }, [new HttpTrigger("orders", TriggerResponse.Default)], default);
        return server;
    }

    public static async Task<IStore> OpenStoreAsync(string folder, IdSequence ids) =>
        await SqliteStore.OpenAsync(Path.Combine(folder, "sendoff.db"), ids, new EngineLimits(), TimeProvider.System, NullLogger<SqliteStore>.Instance, default);

    /// <summary>A client without token, cookies or redirects.</summary>
    public HttpClient NewClient() => new(new SocketsHttpHandler { UseCookies = false, AllowAutoRedirect = false }) { BaseAddress = Url };

    EngineActions Actions() => new()
    {
        FindTrigger = key => key == "orders" ? new(Version(), new HttpTrigger("orders", Answer), Enabled) : null,
        Accept = AcceptAsync,
        Replay = async (id, ct) => await Store.GetRunAsync(id, ct) is { } run
            ? new(new(new(Ids.Next()), (await Store.GetEventAsync(run.Run.EventId, ct))!, 1, Replay: true), Responds) : null,
        Resend = async (id, ct) =>
        {
            if (await Store.GetDeliveryAsync(id, ct) is not { Delivery.Status: not DeliveryStatus.Sending }) return false;
            Resent.Add(id);
            return true;
        },
        Deploy = (_, files, _) =>
        {
            Files = files;
            return Task.FromResult(Deployed);
        },
        SetEnabled = Store.SetEnabledAsync,
        Delete = Store.DeleteWorkflowAsync,
    };

    async Task<AcceptedRun> AcceptAsync(WorkflowVersion version, string trigger, ReadOnlyMemory<byte> json, CancellationToken ct)
    {
        if (AcceptFails is not null) throw AcceptFails;
        Events.Add(JsonElement.Parse(json.Span, new() { MaxDepth = 1000 }));
        var received = new Event(new(Ids.Next()), WorkspaceId.Default, version.WorkflowId, trigger, TimeProvider.System.GetUtcNow(), json);
        var run = new QueuedRun(new(Ids.Next()), received, version.Number);
        await Store.AcceptAsync(run, ct);
        return new(run, Responds);
    }

    WorkflowVersion Version() => new(
        Orders.Id, "orders", 1, Orders.DeployedAt, new Dictionary<string, string>(), new("orders", [], WorkflowSettings.Default, []));

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await app.DisposeAsync();
        switched.Broken = null;
        await Store.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}
