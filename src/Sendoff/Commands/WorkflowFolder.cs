using System.Text;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands;

/// <summary>A workflow folder or a single step file on the local disk.</summary>
static class WorkflowFolder
{
    const long MaxBytes = 5 * 1024 * 1024;

    /// <summary>The files of the workflow, by their path in its folder.</summary>
    public static (string Root, string Name, IReadOnlyDictionary<string, string> Files) Read(string path)
    {
        try
        {
            if (path.Length == 0)
                throw new CommandException("the path is empty; give a workflow folder or a step file", ExitCode.Usage);
            string full = Path.GetFullPath(path);
            if (File.Exists(full))
            {
                string file = Path.GetFileName(full);
                if (!WorkflowReader.Belongs(file) || Path.GetExtension(file) is ".json" or ".md" or ".txt" or ".yaml" or ".yml")
                    throw new CommandException(
                        $"{path} is not a step file; give a .js .mjs .cjs or .ts file, or a workflow folder",
                        ExitCode.Usage
                    );
                return (
                    Path.GetDirectoryName(full)!,
                    Path.GetFileNameWithoutExtension(full),
                    new Dictionary<string, string> { [file] = ReadText(full, path, MaxBytes, out _) }
                );
            }
            if (!Directory.Exists(full))
                throw new CommandException($"{path}: this file or folder does not exist", ExitCode.Usage);
            return (full, Path.GetFileName(full.TrimEnd(Path.DirectorySeparatorChar)), ReadFolder(full));
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new CommandException($"{path} cannot be read: {x.Message}", ExitCode.Usage);
        }
    }

    /// <summary>Parses the files. Errors are printed and end the command.</summary>
    public static WorkflowDefinition Definition(string name, IReadOnlyDictionary<string, string> files)
    {
        var read = WorkflowReader.Read(name, files);
        if (read.Definition is { } definition)
            return definition;
        ProblemPrinter.Print(read.Problems);
        throw new CommandException($"{name} cannot run; {ProblemPrinter.Count(read.Problems)}", ExitCode.Usage);
    }

    static Dictionary<string, string> ReadFolder(string root)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        long bytes = 0;
        foreach (string file in Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            string path = Path.GetRelativePath(root, file).Replace(Path.DirectorySeparatorChar, '/');
            if (!WorkflowReader.Belongs(path))
                continue;
            files[path] = ReadText(file, root, MaxBytes - bytes, out int length);
            bytes += length;
        }
        return files;
    }

    /// <param name="from">The argument of the command.</param>
    static string ReadText(string file, string from, long most, out int length)
    {
        byte[] content = InputText.ReadBytesOfFolder(file, most);
        length = content.Length;
        if (length > most)
            throw new CommandException(
                $"{from} contains more than {MaxBytes / 1024 / 1024} MB of workflow files; check that it is the right folder",
                ExitCode.Usage
            );
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(content).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            throw new CommandException(
                $"{file} is not UTF-8 text, as a workflow's files must be; keep other files in an object store, and fetch them in a step",
                ExitCode.Usage
            );
        }
    }
}
