using System.Text;
using System.Text.Json;
using Sendoff.Engine;

namespace Sendoff.Commands;

/// <summary>The file of <c>sendoff run --accounts</c>: <c>{ "slack": { "oauth_access_token": "..." } }</c>.</summary>
static class AccountsFile
{
    const int MaxBytes = 1024 * 1024;

    /// <summary>Adds the accounts of the file to <paramref name="known"/>. An app in the file replaces the app of the same name.</summary>
    public static async Task<IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>> ReadAsync(
        string? path,
        IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> known,
        CancellationToken ct
    )
    {
        if (path is null)
            return known;
        var accounts = new Dictionary<string, IReadOnlyDictionary<string, string>>(known, StringComparer.Ordinal);
        try
        {
            byte[] text = InputText.ReadBytes(path, MaxBytes);
            if (text.Length > MaxBytes)
                throw new JsonException($"it is over {MaxBytes / 1024 / 1024} MB");
            foreach (var app in Fields(JsonSyntax.ParseForeign(Encoding.UTF8.GetString(text).TrimStart('\uFEFF'))))
                accounts[app.Name] = Fields(app.Value)
                    .DistinctBy(static f => f.Name)
                    .ToDictionary(static f => f.Name, static f => Text(f.Value));
            return accounts;
        }
        catch (Exception x) when (x is JsonException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new CommandException(
                $"--accounts {path}: {x.Message.TrimEnd('.')}; give a JSON file such as {{ \"slack\": {{ \"api_key\": \"...\" }} }}",
                ExitCode.Usage
            );
        }
    }

    static JsonElement.ObjectEnumerator Fields(JsonElement value) =>
        value.ValueKind == JsonValueKind.Object
            ? value.EnumerateObject()
            : throw new JsonException("expected an object of apps, each with its fields");

    static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
}
