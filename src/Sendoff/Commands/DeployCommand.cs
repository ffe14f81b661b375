using System.CommandLine;
using Sendoff.Server.Api;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff deploy DIR</c>: deploys a new version to a server, which checks it first.</summary>
static class DeployCommand
{
    public static Command Build()
    {
        var path = new Argument<string>("path") { Description = "A workflow folder or a single step file" };
        var name = new Option<string?>("--name") { Description = "Name of the workflow on the server (default: the folder's name)" };
        var command = new Command("deploy", "Deploy a new version of a workflow to a server") { path, name };
        command.SetAction((parsed, ct) => DeployAsync(parsed, parsed.GetValue(path)!, parsed.GetValue(name), ct));
        return ApiClient.With(command);
    }

    static async Task<int> DeployAsync(ParseResult parsed, string path, string? name, CancellationToken ct)
    {
        var (_, folderName, files) = WorkflowFolder.Read(path);
        WorkflowFolder.Definition(folderName, files);
        using var api = ApiClient.From(parsed);
        var body = JsonContent.Create(new DeployDocument(files), ApiJson.Default.DeployDocument);
        var deployed = await api.SendAsync(
            HttpMethod.Put,
            $"/api/v1/workflows/{Uri.EscapeDataString(name ?? folderName)}",
            body,
            ApiJson.Default.WorkflowDocument,
            ct
        );
        if (deployed is null)
            return ExitCode.Ok;
        Output.Console.WriteLine($"{deployed.Name} version {deployed.Version} is deployed");
        foreach (var trigger in deployed.Triggers)
        {
            Output.Console.WriteLine($"  {trigger.Type}  {trigger.Url ?? trigger.Schedule ?? trigger.Key}");
            if (trigger.DueTimes is { Count: > 0 } times)
                Output.Console.WriteLine($"    next due {string.Join(", ", times.Select(Lists.Minute))}, local time");
        }
        foreach (var warning in deployed.Warnings)
            Output.Warning(
                warning.File is null
                    ? $"{warning.Message}; {warning.Hint}"
                    : $"{warning.File}:{warning.Line}:{warning.Column}: {warning.Message}"
            );
        if (deployed.ScriptsLeftOut.Count > 0)
            Output.Warning(
                $"the install scripts of {string.Join(", ", deployed.ScriptsLeftOut)} were not run; if they are needed, "
                    + "add the packages to the server's setting Packages:AllowScripts"
            );
        return ExitCode.Ok;
    }
}
