using System.Text.Json;
using Sendoff.Engine.Workflows;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary>A Pipedream project in a folder, and what <c>sendoff import</c> makes of it.</summary>
public abstract class ImportRig : IDisposable
{
    private protected readonly TempFolder folder = new();

    private protected string Source => Path.Combine(folder.Path, "project");
    private protected string Target => Path.Combine(folder.Path, "imported");

    /// <summary>Variables of the command.</summary>
    private protected Dictionary<string, string> Environment { get; } = new() { ["PIPEDREAM_API_KEY"] = "" };

    public void Dispose()
    {
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected void Add(string path, string text)
    {
        string file = Path.Combine(Source, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    private protected async Task<(CommandResult Result, JsonElement Report)> ImportAsync(params string[] more)
    {
        var result = await SendoffCommand.RunAsync(
            ["import", Source, "-o", Target, "--json", "--no-npm", .. more],
            environment: Environment
        );
        return (result, result.Output.Length > 0 ? JsonElement.Parse(result.Output) : default);
    }

    private protected static string Remarks(JsonElement workflow) =>
        string.Join(
            "\n",
            workflow
                .GetProperty("findings")
                .EnumerateArray()
                .Select(f =>
                    $"{f.GetProperty("where").GetString()}: {f.GetProperty("what").GetString()}; {f.GetProperty("remedy").GetString()}"
                )
        );

    private protected WorkflowReading ReadImported(string name)
    {
        string root = Path.Combine(Target, name);
        return WorkflowReader.Read(
            name,
            Directory
                .EnumerateFiles(root, "*", SearchOption.AllDirectories)
                .ToDictionary(f => Path.GetRelativePath(root, f).Replace('\\', '/'), File.ReadAllText)
        );
    }
}
