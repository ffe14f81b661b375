using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Sendoff.Server;

namespace Sendoff.Commands;

/// <summary>The listeners of a server and its public URLs.</summary>
/// <param name="Pages">The URL of the web UI.</param>
/// <param name="Hooks">The URL for callers of workflows; null if it is the same as that of the web UI.</param>
sealed record Listening(Listeners Listeners, ServerCertificate? Certificate, Uri Pages, Uri? Hooks);

/// <summary>Starts a web application and shuts it down in order. If an address cannot be bound, throws a one-line error.</summary>
static class ServerStart
{
    /// <summary>The command handles signals (<see cref="Termination"/>), not the host. The reason of a failed start is printed in one
    /// line.</summary>
    public static void LeaveSignalsToCommand(this WebApplicationBuilder builder) =>
        builder.Services.AddSingleton<IHostLifetime, CommandLifetime>();

    /// <summary>Checks all addresses and the certificate before anything is opened or started.</summary>
    public static async Task<Listening> PrepareAsync(Settings settings, CancellationToken ct)
    {
        try
        {
            ServerCertificate? certificate = null;
            if (settings.TlsCertificate is { } file)
            {
                certificate = new(file, settings.TlsKey, settings.TlsPassword, TimeProvider.System);
                certificate.Load();
            }
            var listeners = await Listeners.PrepareAsync(settings.Listen, settings.HooksListen, certificate is not null, ct);
            return new(listeners, certificate, PagesUrl(settings), HooksUrl(settings));
        }
        catch (Exception x) when (x is ListenException or InvalidDataException)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
    }

    /// <summary>The URL of the web UI.</summary>
    static Uri PagesUrl(Settings settings) =>
        settings.PublicUrl
        ?? settings.Listen.Select(static one => one.Reachable).FirstOrDefault(static url => url is not null)
        ?? throw new CommandException(
            "the server listens only on Unix sockets; set PublicUrl to the URL of the proxy in front of it",
            ExitCode.Usage
        );

    /// <summary>The URL for callers of workflows; null if it is the same as that of the web UI.</summary>
    static Uri? HooksUrl(Settings settings)
    {
        if (settings.HooksPublicUrl is { } given)
        {
            if (settings.HooksListen.Count == 0 && settings.PublicUrl is null)
                throw new CommandException(
                    "Hooks:PublicUrl gives triggers their own host. Also set PublicUrl, the host of the web UI, "
                        + "or give triggers their own addresses with Hooks:Listen",
                    ExitCode.Usage
                );
            if (settings.HooksListen.Count == 0 && given.Host.Equals(settings.PublicUrl!.Host, StringComparison.OrdinalIgnoreCase))
                throw new CommandException(
                    "Hooks:PublicUrl and PublicUrl have the same host, but the host distinguishes triggers from the web UI. "
                        + "Use another host name, "
                        + "or Hooks:Listen",
                    ExitCode.Usage
                );
            return given;
        }
        if (settings.HooksListen.Count == 0)
            return null;
        return settings.HooksListen.Select(static one => one.Reachable).FirstOrDefault(static url => url is not null)
            ?? throw new CommandException(
                "Hooks:Listen contains only Unix sockets; set Hooks:PublicUrl to the URL of the proxy in front of it",
                ExitCode.Usage
            );
    }

    public static async Task RunAsync(WebApplication app, string address, Action onStarted, CancellationToken ct)
    {
        Termination.ShutsDownInOrder();
        try
        {
            await app.StartAsync(ct);
            onStarted();
            await app.WaitForShutdownAsync(ct);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The server was stopped before it had started.
        }
        catch (IOException x)
            when (x.InnerException is AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
        {
            throw new CommandException(
                $"{address} is in use by another program; stop that program, or choose another port",
                ExitCode.Usage
            );
        }
        catch (SocketException x)
        {
            throw new CommandException($"cannot listen on {address}: {x.Message}", ExitCode.Usage);
        }
    }

    sealed class CommandLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
