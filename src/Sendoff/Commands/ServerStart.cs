using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Sendoff.Commands;

/// <summary>Starts a web application and ends it in order; a port that is taken is one clear line.</summary>
static class ServerStart
{
    public static async Task RunAsync(WebApplication app, string address, Action onStarted, CancellationToken ct)
    {
        try
        {
            await app.StartAsync(ct);
        }
        catch (IOException x) when (x.InnerException is AddressInUseException or SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
        {
            throw new CommandException($"{address} is in use by another program; end it, or choose another port", ExitCode.Usage);
        }
        catch (SocketException x)
        {
            throw new CommandException($"cannot listen on {address}: {x.Message}", ExitCode.Usage);
        }
        onStarted();
        await app.WaitForShutdownAsync(ct);
    }
}
