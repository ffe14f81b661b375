using System.CommandLine;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff secrets list | set NAME | delete NAME</c>: variables and secrets that steps see in <c>process.env</c>.</summary>
static class SecretsCommand
{
    public static Command Build()
    {
        var command = new Command("secrets", "Manage variables and secrets for process.env of steps")
        {
            BuildList(),
            BuildSet(),
            Lists.Act("delete", "Delete a variable or secret", HttpMethod.Delete, name => $"/api/v1/secrets/{name}", "deleted", "name"),
        };
        return ApiClient.With(command);
    }

    static Command BuildList()
    {
        var command = new Command("list", "List variables and secrets, without the values of secrets");
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
            Description = "The value (default: read from standard input, so that it is not in the shell history)",
        };
        var variable = new Option<bool>("--variable")
        {
            Description = "Create a variable instead of a secret: its value is shown and not masked",
        };
        var command = new Command("set", "Set a variable or secret; it applies from the next run") { name, value, variable };
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                string text = parsed.GetValue(value) ?? await InputText.ReadValueAsync(ct);
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
}
