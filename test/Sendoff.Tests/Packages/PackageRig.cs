using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Packages;

/// <summary>A server whose packages come from a registry of the test.</summary>
public abstract class PackageRig : IAsyncLifetime
{
    private protected static CancellationToken Ct => TestContext.Current.CancellationToken;
    private protected readonly TempFolder folder = new();
    private protected NpmRegistry registry = null!;
    private protected TestServer? server;

    public async ValueTask InitializeAsync() => registry = await NpmRegistry.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (server is not null)
            await server.DisposeAsync();
        if (registry is not null)
            await registry.DisposeAsync();
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected async Task<TestServer> StartAsync(EngineLimits? limits = null, SandboxMode sandbox = SandboxMode.Auto)
    {
        if (server is not null)
            await server.DisposeAsync();
        return server = await TestServer.StartAsync(
            limits,
            folder.Path,
            node: registry.Node,
            with: options => options with { Isolation = options.Isolation with { Mode = sandbox } }
        );
    }

    private protected string[] Installed =>
        Directory.Exists(Path.Combine(folder.Path, "packages")) ? Directory.GetDirectories(Path.Combine(folder.Path, "packages")) : [];

    private protected static Dictionary<string, string> Workflow(string code, string uses = "./step.mjs") =>
        new()
        {
            ["workflow.yaml"] = $"triggers: [ {{ type: http, key: orders }} ]\nsteps:\n  - namespace: step\n    uses: {uses}\n",
            ["step.mjs"] = code,
        };

    private protected static string Returning(string value, string imports) =>
        $"{imports}\nexport default defineComponent({{ async run({{ $ }}) {{ return {value}; }} }});\n";

    private protected async Task<string?> ValueAsync(string hook)
    {
        var run = await server!.RunAsync(hook);
        Assert.True(run.Status == "succeeded", JsonSerializer.Serialize(run, ApiJson.Default.RunDocument));
        return run.Steps[0].Exports.GetProperty("$return_value").ToString();
    }

    private protected async Task<JsonElement> ProblemAsync(Dictionary<string, string> files)
    {
        using var response = await server!.Http.PutAsJsonAsync(
            "/api/v1/workflows/orders",
            new DeployDocument(files),
            ApiJson.Default.DeployDocument,
            Ct
        );
        string text = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.StatusCode == HttpStatusCode.UnprocessableEntity, text);
        return JsonElement.Parse(text).GetProperty("problems")[0];
    }

    private protected static void AssertAt(JsonElement problem, string file, int line, int column, string says)
    {
        Assert.Equal(
            (file, line, column),
            (problem.GetProperty("file").GetString(), problem.GetProperty("line").GetInt32(), problem.GetProperty("column").GetInt32())
        );
        Assert.Contains(says, problem.GetProperty("message").GetString());
    }
}

/// <summary>An address that nobody is to connect to.</summary>
sealed class Elsewhere : IDisposable
{
    readonly System.Net.Sockets.TcpListener listener = new(IPAddress.Loopback, 0);
    int connections;

    public Elsewhere()
    {
        listener.Start();
        _ = CountAsync();
    }

    public string Address => listener.LocalEndpoint.ToString()!;
    public int Connections => Volatile.Read(ref connections);

    async Task CountAsync()
    {
        try
        {
            while (true)
            {
                using var socket = await listener.AcceptSocketAsync();
                Interlocked.Increment(ref connections);
            }
        }
        catch (Exception e) when (e is System.Net.Sockets.SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    public void Dispose() => listener.Dispose();
}
