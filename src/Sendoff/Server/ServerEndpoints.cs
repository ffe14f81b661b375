using System.Text.Json.Serialization;
using Microsoft.AspNetCore.DataProtection;
using Scalar.AspNetCore;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Sendoff.Server.Triggers;
using Sendoff.Ui;
using Sendoff.Ui.Editor;

namespace Sendoff.Server;

/// <summary>The server in two parts: its services, and its endpoints.</summary>
public static class ServerEndpoints
{
    /// <summary>Creates a builder that finds the scripts of the pages beside the program, from any current folder.</summary>
    public static WebApplicationBuilder CreateBuilder()
    {
        var builder = WebApplication.CreateSlimBuilder(
            new WebApplicationOptions { ApplicationName = "sendoff", ContentRootPath = AppContext.BaseDirectory }
        );
        // A build lists the static files in a manifest; a publish copies them.
        builder.WebHost.UseStaticWebAssets();
        return builder;
    }

    /// <summary>Registers the server. The caller registers the engine.</summary>
    public static IServiceCollection AddSendoffServer(this IServiceCollection services, ServerOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton(_ => AdminToken.Load(options.Token, options.DataDirectory));
        services.AddSingleton<SignInLinks>();
        services.AddSingleton<SettingsView>();
        services.AddSingleton<ApiTokens>();
        services.AddSingleton<IStoreCache>(static s => s.GetRequiredService<ApiTokens>());
        services.AddSingleton<Sessions>();
        services.AddSingleton<IStoreCache>(static s => s.GetRequiredService<Sessions>());
        services.AddSingleton<ServerSides>();
        AccessPolicy.Add(services);
        services.AddSingleton<TriggerGate>();
        services.AddSingleton<HttpTriggerEndpoint>();
        services.AddSingleton<StreamKeys>();
        services.AddSingleton<WorkflowDocuments>();
        services.AddSingleton<StreamEndpoint>();
        services.AddSingleton<ReleaseEndpoint>();
        services.AddSingleton<FileEndpoint>();
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.TypeInfoResolverChain.Insert(0, ApiJson.Default);
            json.SerializerOptions.Converters.Add(new UtcTime());
            json.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            json.SerializerOptions.MaxDepth = ApiJson.MaxDepth;
            json.SerializerOptions.Encoder = PlainJsonEncoder.Instance;
        });
        services.AddOpenApi(ApiDescription.Name, ApiDescription.Configure);
        // These keys protect nothing that is stored: a session is a random value.
        services.AddDataProtection().UseEphemeralDataProtectionProvider();
        // The editor sends a file as one message: UTF-8 in JSON.
        services
            .AddRazorComponents()
            .AddInteractiveServerComponents()
            .AddHubOptions(static hub => hub.MaximumReceiveMessageSize = WorkflowEditor.LargestChars * 6);
        // So no keys are created at startup or written to the user's home.
        foreach (var warmUp in services.Where(s => s.ImplementationType?.Name == "DataProtectionHostedService").ToList())
            services.Remove(warmUp);
        return services;
    }

    static readonly string[] Reads = [HttpMethods.Get, HttpMethods.Options];

    /// <summary>Maps triggers, the API and the pages, in this order.</summary>
    public static void MapSendoff(this WebApplication app)
    {
        // Create the file now, because commands on this machine read it before the first request.
        _ = app.Services.GetRequiredService<AdminToken>();

        // The hot path leaves the pipeline at the router, before the middleware below.
        app.Map(HttpTriggerEndpoint.Pattern, app.Services.GetRequiredService<HttpTriggerEndpoint>().HandleAsync)
            .ShortCircuit()
            .ExcludeFromDescription();
        app.MapMethods(StreamEndpoint.Pattern, Reads, app.Services.GetRequiredService<StreamEndpoint>().HandleAsync)
            .ShortCircuit()
            .ExcludeFromDescription();
        app.MapMethods(FileEndpoint.Pattern, ["HEAD", .. Reads], app.Services.GetRequiredService<FileEndpoint>().HandleAsync)
            .ShortCircuit()
            .ExcludeFromDescription();
        var release = app.Services.GetRequiredService<ReleaseEndpoint>();
        app.Map("/resume/{run}/{sign}", release.ResumeAsync).ShortCircuit().ExcludeFromDescription();
        app.Map("/cancel/{run}/{sign}", release.CancelAsync).ShortCircuit().ExcludeFromDescription();

        app.UseMiddleware<PageHeaders>();
        app.UseMiddleware<RequestErrors>();
        app.UseMiddleware<HostGate>();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseMiddleware<FormGate>();
        app.UseAntiforgery();
        HealthApi.Map(app);
        EgressApi.MapPublic(app);
        SignInEndpoints.Map(app);
        MapApi(app);
        app.MapOpenApi("/openapi/{documentName}.json");
        app.MapScalarApiReference(
            "/docs/reference",
            scalar =>
                scalar
                    .WithTitle("Sendoff API")
                    .WithCustomCss(referenceColours)
                    .AddHeadContent(referenceTheme)
                    .HideDarkModeToggle()
                    .DisableDefaultFonts()
                    .DisableTelemetry()
                    .DisableAgent()
                    .DisableMcp()
                    .HideDeveloperTools()
                    .HideClientButton()
        );
        UiEndpoints.Map(app);
    }

    /// <summary>Corrects colours of Scalar whose contrast is too low (WCAG AA).</summary>
    const string referenceColours = """
        .light-mode { --scalar-color-2: #4a4a4a; --scalar-color-3: #555; --scalar-color-accent: #0059b3; --scalar-color-green: #05663f; --scalar-color-orange: #a33a00; --scalar-color-yellow: #7a5c00 }
        .dark-mode { --scalar-color-2: #c8c8c8; --scalar-color-3: #b4b4b4 }
        .sidebar-search-placeholder, .client-libraries-text { color: var(--scalar-color-1) }
        """;

    /// <summary>Passes the theme of the page to the frame, because the frame does not notice changes. Scalar stores its own theme under
    /// <c>colorMode</c> and shows it as a class.</summary>
    const string referenceTheme = """
        <script>
          (() => {
            const dark = parent.matchMedia('(prefers-color-scheme: dark)');
            const show = () => {
              const theme = localStorage.getItem('theme') ?? (dark.matches ? 'dark' : 'light');
              localStorage.setItem('colorMode', theme);
              for (const mode of ['dark', 'light']) document.body?.classList.toggle(`${mode}-mode`, mode === theme);
            };
            show();
            // Scalar resets its theme whenever the system's theme changes.
            addEventListener('DOMContentLoaded', () => new MutationObserver(show).observe(document.body, { attributeFilter: ['class'] }));
            addEventListener('theme', show);
            dark.addEventListener('change', show);
          })();
        </script>
        """;

    static void MapApi(WebApplication app)
    {
        var api = app.MapGroup("/api/v1")
            .DisableAntiforgery()
            .AddEndpointFilter(BodyCoding.RefuseAsync)
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status404NotFound);
        WorkflowsApi.Map(api);
        DraftsApi.Map(api);
        RunsApi.Map(api);
        DeliveriesApi.Map(api);
        ExportApi.Map(api);
        EventsApi.Map(api);
        SecretsApi.Map(api);
        TokensApi.Map(api);
        SessionsApi.Map(api);
        StoresApi.Map(api);
        AlertsApi.Map(api);
        AccountsApi.Map(api);
        UsageApi.Map(api);
        EgressApi.Map(api);
        StreamApi.Map(api);
        HoldApi.Map(api);
        ServersApi.Map(api);
        app.Map(
                "/api/{**path}",
                (HttpRequest request) => Problem.NotFound($"There is nothing at {request.Path}. The API is described at /openapi/v1.json.")
            )
            .ExcludeFromDescription();
    }
}
