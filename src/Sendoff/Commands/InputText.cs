using System.Text;
using System.Text.Json;

namespace Sendoff.Commands;

/// <summary>Reads the input of a command: a file, or - for standard input. If it cannot be read, throws a one-line error.</summary>
static class InputText
{
    const long MaxBytes = 64L * 1024 * 1024;

    public const string StandardInput = "-";

    /// <summary>Reads a file, up to one byte over the limit, because devices and growing files have no fixed size. Throws the exceptions of
    /// file access.</summary>
    public static byte[] ReadBytes(string path, long most)
    {
        using var file = File.OpenRead(path);
        using var bytes = new MemoryStream();
        byte[] buffer = new byte[81_920];
        while (bytes.Length <= most && file.Read(buffer) is > 0 and var read)
            bytes.Write(buffer, 0, read);
        return bytes.ToArray();
    }

    /// <summary>Reads a file that was found in a folder. A file without a size is treated as empty and is not opened, because opening a
    /// named pipe would wait for a writer.</summary>
    public static byte[] ReadBytesOfFolder(string path, long most) => new FileInfo(path).Length == 0 ? [] : ReadBytes(path, most);

    public static async Task<string> ReadAsync(string path, CancellationToken ct)
    {
        if (path == StandardInput)
            return await ReadStandardInputAsync(ct);
        if (Directory.Exists(path))
            throw new CommandException($"{path} is a folder; give a file", ExitCode.Usage);
        try
        {
            await using var file = File.OpenRead(path);
            return await ReadAsync(file, path, ct);
        }
        catch (Exception x) when (x is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CommandException($"{path}: this file does not exist", ExitCode.Usage);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new CommandException($"{path} cannot be read: {x.Message}", ExitCode.Usage);
        }
    }

    /// <summary>Reads a value from standard input, without the line end that a shell adds.</summary>
    public static async Task<string> ReadValueAsync(CancellationToken ct)
    {
        string text = await ReadStandardInputAsync(ct);
        return text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2]
            : text.EndsWith('\n') ? text[..^1]
            : text;
    }

    public static Task<string> ReadStandardInputAsync(CancellationToken ct) => ReadAsync(Console.OpenStandardInput(), "standard input", ct);

    static async Task<string> ReadAsync(Stream stream, string name, CancellationToken ct)
    {
        using var bytes = new MemoryStream();
        byte[] buffer = new byte[81_920];
        while (await stream.ReadAsync(buffer, ct) is > 0 and var read)
        {
            bytes.Write(buffer, 0, read);
            if (bytes.Length > MaxBytes)
                throw new CommandException($"{name} is over {MaxBytes / 1024 / 1024} MB", ExitCode.Usage);
        }
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true)
                .GetString(bytes.GetBuffer(), 0, (int)bytes.Length)
                .TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            throw new CommandException($"{name} is not UTF-8 text", ExitCode.Usage);
        }
    }

    /// <summary>Ends the command with the position of the error if the text is not JSON.</summary>
    public static void MustBeJson(string text, string name = "the event")
    {
        try
        {
            using var document = JsonDocument.Parse(text);
        }
        catch (JsonException x)
        {
            throw new CommandException($"{name} is not JSON: line {x.LineNumber + 1}, column {x.BytePositionInLine + 1}", ExitCode.Usage);
        }
    }
}
