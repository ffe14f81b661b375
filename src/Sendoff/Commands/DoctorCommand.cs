using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sendoff.Engine;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff doctor</c>: checks the requirements of the server.</summary>
static class DoctorCommand
{
    public static Command Build()
    {
        var json = new Option<bool>("--json") { Description = "Print only JSON" };
        var command = ServeCommand.WithSettings(
            new("doctor", "Check the requirements of the server: Node.js, sandbox, data directory, database, key, addresses, clock")
            {
                json,
            }
        );
        command.SetAction((parsed, ct) => RunAsync(parsed, parsed.GetValue(json), ct));
        return command;
    }

    static async Task<int> RunAsync(ParseResult parsed, bool json, CancellationToken ct)
    {
        var (settings, warnings) = Settings.Load(ServeCommand.Flags(parsed), parsed.GetValue(ServeCommand.Development));
        foreach (string warning in warnings)
            Output.Warning(warning);
        var checks = await Diagnosis.MakeAsync(settings, TimeProvider.System, ct);
        bool isWell = checks.All(check => check.Status != CheckStatus.Failed);
        if (json)
            Output.Result(JsonSerializer.Serialize(new DoctorDocument(isWell, checks), PlainJsonEncoder.OptionsOf(DoctorJson.Default)));
        else
            foreach (var check in checks)
                Output.Console.MarkupLineInterpolated($"{Sign(check.Status), -8} {check.Name, -11} {check.Text}");
        return isWell ? ExitCode.Ok : ExitCode.RunFailed;
    }

    static string Sign(CheckStatus status) =>
        status switch
        {
            CheckStatus.Ok => "ok",
            CheckStatus.Warning => "warning",
            _ => "FAILED",
        };
}

/// <param name="Ok">No check failed; warnings are possible.</param>
sealed record DoctorDocument(bool Ok, IReadOnlyList<Check> Checks);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(DoctorDocument))]
sealed partial class DoctorJson : JsonSerializerContext;
