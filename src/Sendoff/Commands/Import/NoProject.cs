using Sendoff.Engine.Workflows;

namespace Sendoff.Commands.Import;

/// <summary>The error for an import of something that is not a project.</summary>
static class NoProject
{
    const string Expected =
        "import reads a folder of GitHub sync (with a workflow.yaml), a ZIP of it, an export archive (a ZIP), "
        + "or a JSON file of an export archive with the steps of a workflow";
    const int Named = 5;

    /// <summary>A file that is not a ZIP archive.</summary>
    public static CommandException File(string path)
    {
        var (what, instead) = Kind(path);
        return new($"{path} is not a Pipedream project: it is {what}. {instead ?? Expected}", ExitCode.Usage);
    }

    /// <summary>A folder or an archive in which no workflow was found.</summary>
    public static CommandException Without(string path, IReadOnlyCollection<string> files)
    {
        string[] names = [.. files.Order(StringComparer.Ordinal).Take(Named)];
        string found =
            files.Count == 0
                ? "it contains no files of a workflow: neither"
                : $"it has {string.Join(", ", names)}{(files.Count > Named ? $" and {files.Count - Named:N0} more" : "")}, but neither";
        string steps =
            Directory.Exists(path) && files.Any(static file => !file.Contains('/') && IsStep(file))
                ? $" Step files need no import; run `sendoff deploy {path}`"
                : "";
        return new(
            $"{path} is not a Pipedream project: {found} a workflow.yaml (GitHub sync) nor a JSON file with steps (export archive).{steps}",
            ExitCode.Usage
        );
    }

    static (string What, string? Instead) Kind(string path)
    {
        using var file = System.IO.File.OpenRead(path);
        byte[] start = new byte[4];
        int count = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        return start.AsSpan(0, count) switch
        {
            [] => ("empty", null),
            [(byte)'P', (byte)'K', ..] => ("a damaged ZIP archive", null),
            [0x1f, 0x8b, ..] => ("a gzip archive", "Unpack it and give the folder"),
            _ when Path.GetFileName(path) is WorkflowReader.YamlFile or "workflow.yml" => (
                "the workflow.yaml of a workflow",
                "Give the folder that contains it"
            ),
            _ when IsStep(path) => ("a step file", $"It needs no import; run `sendoff deploy {path}`"),
            _ when Path.GetExtension(path).Length > 0 => ($"a {Path.GetExtension(path)} file", null),
            _ => ("another kind of file", null),
        };
    }

    static bool IsStep(string file) => Path.GetExtension(file) is ".js" or ".mjs" or ".cjs" or ".ts";
}
