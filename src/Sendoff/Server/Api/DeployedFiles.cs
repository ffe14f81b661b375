using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Sendoff.Engine.Workflows;

namespace Sendoff.Server.Api;

/// <summary>Reads the files of a deploy from the request's body: <c>{files:{path:text}}</c>, a ZIP, or a single step file.</summary>
internal static class DeployedFiles
{
    static readonly string[] stepExtensions = [".js", ".mjs", ".cjs", ".ts"];

    /// <summary>Null if <paramref name="input"/> has a problem.</summary>
    public static IReadOnlyDictionary<string, string>? Read(
        ApiInput input,
        string? contentType,
        string? file,
        byte[] body,
        ServerOptions options
    )
    {
        string type = contentType?.Split(';')[0].Trim().ToLowerInvariant() ?? "";
        IReadOnlyDictionary<string, string>? files =
            body.AsSpan().StartsWith("PK\u0003\u0004"u8) || type is "application/zip" or "application/x-zip-compressed"
                ? FromZip(input, body, options)
            : type is "application/json" || type.EndsWith("+json", StringComparison.Ordinal) ? FromJson(input, body)
            : FromStep(input, type, file, body);
        if (files is null || input.Problem is not null)
            return null;
        if (files.Count > options.DeployFiles)
            input.Wrong($"There are {files.Count:N0} files. A workflow can have at most {options.DeployFiles:N0}.");
        foreach (string path in files.Keys)
        {
            if (FilePath.FindFault(path) is { } fault)
                input.Wrong($"The path '{path}' {fault}");
        }
        if (FilePath.FindFolder(files) is { } both)
            input.Wrong($"'{both}' is both a file and the folder of another file. Rename one of them.");
        // Editors on Windows add a byte order mark. The commands remove it too.
        return input.Problem is null ? files.ToDictionary(static file => file.Key, static file => file.Value.TrimStart('\uFEFF')) : null;
    }

    static Dictionary<string, string>? FromJson(ApiInput input, byte[] body)
    {
        if (input.Object(body, ["files"]) is not { } document)
            return null;
        if (!document.TryGetProperty("files", out var files) || files.ValueKind != JsonValueKind.Object || !files.EnumerateObject().Any())
        {
            input.Wrong("'files' is missing. Expected an object of paths and texts, such as {\"files\":{\"step.js\":\"...\"}}.");
            return null;
        }
        var all = new Dictionary<string, string>();
        foreach (var file in files.EnumerateObject())
        {
            if (file.Value.ValueKind != JsonValueKind.String)
                input.Wrong($"'files' has {ApiInput.Kind(file.Value)} for '{file.Name}'. Expected the file's text.");
            else if (!all.TryAdd(file.Name, file.Value.GetString()!))
                input.Wrong($"'files' contains '{file.Name}' more than once.");
        }
        return all;
    }

    /// <summary>If all files are in one folder of the ZIP, as in archives of repositories, that folder is removed from the paths.</summary>
    static Dictionary<string, string>? FromZip(ApiInput input, byte[] body, ServerOptions options)
    {
        var all = new Dictionary<string, string>();
        try
        {
            using var zip = new ZipArchive(new MemoryStream(body), ZipArchiveMode.Read);
            long left = options.DeployBytes;
            foreach (var entry in zip.Entries.Where(e => !e.FullName.EndsWith('/')).Take(options.DeployFiles + 1))
            {
                if (ZipEntries.IsLink(entry))
                {
                    input.Wrong($"The ZIP contains the symbolic link '{entry.FullName}'. Replace it with its target file.");
                    return null;
                }
                byte[] content = ZipEntries.Read(entry, left);
                if ((left -= content.Length) < 0)
                {
                    input.Wrong($"The ZIP unpacks to more than {options.DeployBytes:N0} bytes.");
                    return null;
                }
                // Binary files are ignored, except attachments, which steps would read.
                if (!Utf8.IsValid(content) && entry.FullName.Contains("attachments/", StringComparison.Ordinal))
                    input.Wrong(
                        $"The attachment '{entry.FullName}' is not UTF-8 text, and a workflow's files must be text. "
                            + "Keep it in an object store, and fetch it in a step."
                    );
                if (Utf8.IsValid(content) && !all.TryAdd(entry.FullName, Encoding.UTF8.GetString(content)))
                {
                    input.Wrong($"The ZIP contains '{entry.FullName}' more than once.");
                    return null;
                }
            }
        }
        catch (Exception e) when (e is InvalidDataException or IOException or NotSupportedException)
        {
            input.Wrong($"The ZIP cannot be read: {e.Message}");
            return null;
        }
        if (all.Count == 0)
            input.Wrong("The ZIP contains no text files.");
        string[] tops = [.. all.Keys.Select(path => path[..(path.IndexOf('/') + 1)]).Distinct()];
        return tops is [{ Length: > 0 } top] ? all.ToDictionary(f => f.Key[top.Length..], f => f.Value) : all;
    }

    static Dictionary<string, string>? FromStep(ApiInput input, string type, string? file, byte[] body)
    {
        string name = string.IsNullOrEmpty(file)
            ? type.Contains("typescript")
                ? "step.ts"
                : "step.js"
            : file;
        if (!stepExtensions.Contains(Path.GetExtension(name)))
            input.Wrong($"'file' is '{name}'. The name of a step file ends with {string.Join(", ", stepExtensions)}.");
        else if (body.Length == 0)
            input.Wrong(
                "The body is empty. Expected a step file, a ZIP of a workflow folder, or JSON such as {\"files\":{\"step.js\":\"...\"}}."
            );
        else if (!Utf8.IsValid(body))
            input.Wrong("The step file is not UTF-8 text.");
        else
            return new() { [name] = Encoding.UTF8.GetString(body) };
        return null;
    }
}
