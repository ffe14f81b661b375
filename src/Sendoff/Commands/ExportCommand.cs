using System.CommandLine;

namespace Sendoff.Commands;

/// <summary><c>sendoff export har|curl ID</c>: exports the requests of a run or of one delivery for other tools.</summary>
static class ExportCommand
{
    public static Command Build()
    {
        var command = new Command("export", "Export the requests and responses of a run or a delivery for other tools")
        {
            BuildFormat("har", "HTTP Archive 1.2, for example for browser tools"),
            BuildFormat("curl", "curl commands for the same requests"),
        };
        return ApiClient.With(command);
    }

    static Command BuildFormat(string format, string description)
    {
        var id = new Argument<string>("id") { Description = "Id of a run (run_…) or a delivery (dlv_…)" };
        var output = new Option<string?>("--output", "-o") { Description = "Output file (default or -: standard output)" };
        var command = new Command(format, description) { id, output };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string path = $"/api/v1/{Resource(parsed.GetValue(id)!)}/{format}";
                await WriteAsync(api, path, parsed.GetValue(output), ct);
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static string Resource(string id) =>
        id switch
        {
            _ when id.StartsWith("run_", StringComparison.Ordinal) => $"runs/{Uri.EscapeDataString(id)}",
            _ when id.StartsWith("dlv_", StringComparison.Ordinal) => $"deliveries/{Uri.EscapeDataString(id)}",
            _ => throw new CommandException($"{id} is neither a run (run_…) nor a delivery (dlv_…)", ExitCode.Usage),
        };

    static async Task WriteAsync(ApiClient api, string path, string? file, CancellationToken ct)
    {
        if (file is null or "-")
        {
            // Output to a terminal is escaped, so it is read completely first. It is short: nobody reads large exports in a terminal.
            if (Output.Stream is { } stream)
                await api.CopyAsync(path, stream, ct);
            else
                Output.Content(await api.SendAsync(HttpMethod.Get, path, null, ct));
            return;
        }
        try
        {
            await using var written = new FileStream(file, FileMode.Create);
            await api.CopyAsync(path, written, ct);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{file} cannot be written: {x.Message}", ExitCode.Usage);
        }
    }
}
