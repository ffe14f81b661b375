using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff stores list [NAME] | get NAME KEY | set NAME KEY VALUE | delete NAME KEY</c>: data stores of steps.</summary>
static class StoresCommand
{
    static readonly Argument<string> name = new("store"),
        key = new("key");

    public static Command Build() =>
        ApiClient.With(
            new Command("stores", "Manage data stores, in which steps keep data between runs")
            {
                BuildList(),
                BuildGet(),
                BuildSet(),
                BuildDelete(),
            }
        );

    static Command BuildList()
    {
        var store = new Argument<string?>("store")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description = "List the keys of this store (default: list the stores)",
        };
        var cursor = new Option<string?>("--cursor") { Description = "Continue after a page, with its nextCursor" };
        var command = new Command("list", "List the stores, or a store's keys; secrets are masked") { store, cursor };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (parsed.GetValue(store) is not { } given)
                {
                    if (await api.GetAsync("/api/v1/stores", ApiJson.Default.ListDocumentDataStoreDocument, ct) is { } stores)
                        Lists.PrintTable(
                            stores.Items,
                            ["name", "keys"],
                            s => [s.Name, s.Keys.ToString("N0", CultureInfo.InvariantCulture)]
                        );
                    return ExitCode.Ok;
                }
                string query = parsed.GetValue(cursor) is { } after ? $"?cursor={Uri.EscapeDataString(after)}" : "";
                if (
                    await api.GetAsync(
                        $"/api/v1/stores/{Uri.EscapeDataString(given)}{query}",
                        ApiJson.Default.ListDocumentStoredValueDocument,
                        ct
                    )
                    is not { } page
                )
                    return ExitCode.Ok;
                Lists.PrintTable(
                    page.Items,
                    ["key", "value", "changed", "expires"],
                    v => [v.Key, Short(v.Value.GetRawText()), Lists.Time(v.ChangedAt), v.ExpiresAt is { } at ? Lists.Time(at) : ""]
                );
                if (page.NextCursor is { } next)
                    Output.Result($"more: --cursor {next}");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static string Short(string json) => json.Length <= 60 ? json : json[..59] + "…";

    static Command BuildGet()
    {
        var command = new Command("get", "Print a value as JSON; secrets are masked") { name, key };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.GetAsync(PathOf(parsed), ApiJson.Default.StoredValueDocument, ct) is { } found)
                    Output.Result(found.Value.GetRawText());
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildSet()
    {
        var value = new Argument<string>("value") { Description = "JSON, or - for standard input" };
        var ttl = new Option<double?>("--ttl") { Description = "Seconds until the key expires (default: never)" };
        var command = new Command("set", "Set a key's value") { name, key, value, ttl };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string text = parsed.GetValue(value)!;
                var body = JsonContent.Create(
                    new StoredValueRequestDocument(
                        Parse(text == InputText.StandardInput ? await InputText.ReadStandardInputAsync(ct) : text),
                        parsed.GetValue(ttl)
                    ),
                    ApiJson.Default.StoredValueRequestDocument
                );
                await api.SendAsync(HttpMethod.Put, PathOf(parsed), body, ct);
                Output.Result($"{parsed.GetValue(key)} set");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildDelete()
    {
        var command = new Command("delete", "Delete a key") { name, key };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                await api.SendAsync(HttpMethod.Delete, PathOf(parsed), null, ct);
                Output.Result($"{parsed.GetValue(key)} deleted");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    // A slash in a key is not encoded.
    static string PathOf(ParseResult parsed) =>
        $"/api/v1/stores/{Uri.EscapeDataString(parsed.GetValue(name)!)}/"
        + $"{string.Join('/', parsed.GetValue(key)!.Split('/').Select(Uri.EscapeDataString))}";

    static JsonElement Parse(string text)
    {
        try
        {
            return JsonSyntax.ParseForeign(text);
        }
        catch (JsonException)
        {
            throw new CommandException("the value is not JSON; quote a string: '\"text\"'", ExitCode.Usage);
        }
    }
}
