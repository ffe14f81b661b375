using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Sendoff.Engine.Workflows;

namespace Sendoff.Server.Api;

/// <summary>The files of a deploy, from whatever body they came in: <c>{files:{path:text}}</c>, a zip, or a lone step file.</summary>
internal static class DeployedFiles
{
    static readonly string[] stepExtensions = [".js", ".mjs", ".cjs", ".ts"];

    /// <summary>Null when there is a problem in <paramref name="input"/>.</summary>
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
            input.Wrong($"There are {files.Count:N0} files. A workflow has {options.DeployFiles:N0} at most.");
        foreach (string path in files.Keys)
        {
            if (FilePath.FindFault(path) is { } fault)
                input.Wrong($"The path '{path}' {fault}");
        }
        if (FilePath.FindFolder(files) is { } both)
            input.Wrong($"'{both}' is a file, and the folder of another one. Rename one of them.");
        // Editors of Windows mark UTF-8. The commands leave the mark out as well.
        return input.Problem is null ? files.ToDictionary(static file => file.Key, static file => file.Value.TrimStart('\uFEFF')) : null;
    }

    static Dictionary<string, string>? FromJson(ApiInput input, byte[] body)
    {
        if (input.Object(body, ["files"]) is not { } document)
            return null;
        if (!document.TryGetProperty("files", out var files) || files.ValueKind != JsonValueKind.Object || !files.EnumerateObject().Any())
        {
            input.Wrong("'files' is missing. It is an object of path to text, as {\"files\":{\"step.js\":\"...\"}}.");
            return null;
        }
        var all = new Dictionary<string, string>();
        foreach (var file in files.EnumerateObject())
        {
            if (file.Value.ValueKind != JsonValueKind.String)
                input.Wrong($"'files' has {ApiInput.Kind(file.Value)} for '{file.Name}'. It is the file's text.");
            else if (!all.TryAdd(file.Name, file.Value.GetString()!))
                input.Wrong($"'files' has '{file.Name}' more than once.");
        }
        return all;
    }

    /// <summary>A folder in the zip that holds all else is left out, since archives of repositories have one.</summary>
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
                    input.Wrong($"The zip has the symbolic link '{entry.FullName}'. Replace it with the file that it points to.");
                    return null;
                }
                byte[] content = ZipEntries.Read(entry, left);
                if ((left -= content.Length) < 0)
                {
                    input.Wrong($"The zip unpacks to more than {options.DeployBytes:N0} bytes.");
                    return null;
                }
                // Binary files are ignored unless they are attachments that steps read.
                if (!Utf8.IsValid(content) && entry.FullName.Contains("attachments/", StringComparison.Ordinal))
                    input.Wrong(
                        $"The attachment '{entry.FullName}' is not UTF-8 text, and a workflow's files are text. "
                            + "Keep it in an object store, and fetch it in a step."
                    );
                if (Utf8.IsValid(content) && !all.TryAdd(entry.FullName, Encoding.UTF8.GetString(content)))
                {
                    input.Wrong($"The zip has '{entry.FullName}' more than once.");
                    return null;
                }
            }
        }
        catch (Exception e) when (e is InvalidDataException or IOException or NotSupportedException)
        {
            input.Wrong($"The zip cannot be read: {e.Message}");
            return null;
        }
        if (all.Count == 0)
            input.Wrong("The zip has no text file in it.");
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
            input.Wrong($"'file' is '{name}'. A step file ends in {string.Join(", ", stepExtensions)}.");
        else if (body.Length == 0)
            input.Wrong("The body is empty. It is a step file, a zip of a workflow folder, or JSON as {\"files\":{\"step.js\":\"...\"}}.");
        else if (!Utf8.IsValid(body))
            input.Wrong("The step file is not UTF-8 text.");
        else
            return new() { [name] = Encoding.UTF8.GetString(body) };
        return null;
    }
}
