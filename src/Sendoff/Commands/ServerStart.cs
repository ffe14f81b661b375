using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Sendoff.Commands;

/// <summary>Starts a web application and shuts it down in order; a port that is taken is one clear line.</summary>
static class ServerStart
{
    /// <summary>Signals are the command's (<see cref="Termination"/>), not the host's; why a start fails is said in one line.</summary>
    public static void LeaveSignalsToCommand(this WebApplicationBuilder builder) => builder.Services.AddSingleton<IHostLifetime, CommandLifetime>();

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
            // Asked to end before it had started.
        }
        catch (IOException x) when (x.InnerException is AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
        {
            throw new CommandException($"{address} is in use by another program; end it, or choose another port", ExitCode.Usage);
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
