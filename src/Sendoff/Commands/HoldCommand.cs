using System.CommandLine;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff hold show | release</c>: a server on hold after a backup was restored.</summary>
static class HoldCommand
{
    const string Path = "/api/v1/hold";

    public static Command Build() =>
        ApiClient.With(
            new Command("hold", "Show or release the hold of a server that was started with --hold") { BuildShow(), BuildRelease() }
        );

    static Command BuildShow()
    {
        var command = new Command("show", "Show whether the server is on hold, and since when");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.SendAsync(HttpMethod.Get, Path, null, ApiJson.Default.HoldDocument, ct) is { } hold)
                    Output.Result(hold.Since is { } since ? $"on hold since {Lists.Time(since)}" : "not on hold");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildRelease()
    {
        var command = new Command("release", "Resume deliveries, schedules and unfinished runs");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                await api.SendAsync(HttpMethod.Post, Path + "/release", null, ApiJson.Default.HoldDocument, ct);
                Output.Result("released");
                return ExitCode.Ok;
            }
        );
        return command;
    }
}
