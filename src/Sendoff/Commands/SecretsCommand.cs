using System.CommandLine;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff secrets list | set NAME | delete NAME</c>: what steps see as <c>process.env</c>.</summary>
static class SecretsCommand
{
    public static Command Build()
    {
        var command = new Command("secrets", "Variables and secrets that steps see as process.env")
        {
            BuildList(),
            BuildSet(),
            Lists.Act("delete", "Remove one", HttpMethod.Delete, name => $"/api/v1/secrets/{name}", "deleted"),
        };
        return ApiClient.With(command);
    }

    static Command BuildList()
    {
        var command = new Command("list", "List them; the values of secrets are never shown");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.GetAsync("/api/v1/secrets", ApiJson.Default.SecretListDocument, ct) is { } list)
                    Lists.PrintTable(
                        list.Items,
                        ["name", "kind", "value", "changed"],
                        s => [s.Name, s.Secret ? "secret" : "variable", s.Value ?? "", Lists.Time(s.ChangedAt)]
                    );
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static Command BuildSet()
    {
        var name = new Argument<string>("name");
        var value = new Option<string?>("--value")
        {
            Description = "The value; else it is read from standard input, where no shell history keeps it",
        };
        var variable = new Option<bool>("--variable") { Description = "Not a secret: it may be shown, and is not masked" };
        var command = new Command("set", "Set one; the next runs see it") { name, value, variable };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string text = parsed.GetValue(value) ?? WithoutLineEnd(await InputText.ReadStandardInputAsync(ct));
                var body = JsonContent.Create(
                    new SecretRequestDocument(text, !parsed.GetValue(variable)),
                    ApiJson.Default.SecretRequestDocument
                );
                string path = $"/api/v1/secrets/{Uri.EscapeDataString(parsed.GetValue(name)!)}";
                if (await api.SendAsync(HttpMethod.Put, path, body, ApiJson.Default.SecretDocument, ct) is { } set)
                    Output.Result($"{set.Name} set, {(set.Secret ? "a secret: masked everywhere" : "a variable")}");
                return ExitCode.Ok;
            }
        );
        return command;
    }

    static string WithoutLineEnd(string text) =>
        text.EndsWith("\r\n", StringComparison.Ordinal) ? text[..^2]
        : text.EndsWith('\n') ? text[..^1]
        : text;
}
