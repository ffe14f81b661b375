using System.CommandLine;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary><c>sendoff types [DIR]</c>: writes type definitions of steps for editors.</summary>
static class TypesCommand
{
    const string FileName = "sendoff.d.ts",
        ConfigName = "jsconfig.json";

    // Without this file, an editor treats each step as a separate script and does not check it.
    const string Config = """
        {
          "compilerOptions": { "checkJs": true, "strict": true, "target": "es2023", "lib": ["es2023", "dom"], "module": "nodenext", "skipLibCheck": true },
          "include": ["**/*.js", "**/*.mjs", "**/*.ts", "sendoff.d.ts"]
        }

        """;

    public static Command Build()
    {
        var folder = new Argument<string>("dir") { Description = "The folder of your workflows", DefaultValueFactory = _ => "." };
        var command = new Command("types", $"Write {FileName}, type definitions for editors") { folder };
        command.SetAction((parsed, ct) => WriteAsync(parsed.GetValue(folder)!, ct));
        return command;
    }

    static async Task<int> WriteAsync(string folder, CancellationToken ct)
    {
        if (!Directory.Exists(folder))
            throw new CommandException($"{folder}: this folder does not exist", ExitCode.Usage);
        string types = Path.Combine(folder, FileName),
            config = Path.Combine(folder, ConfigName);
        try
        {
            await File.WriteAllTextAsync(types, await File.ReadAllTextAsync(Source, ct), ct);
            Output.Console.WriteLine($"{types} is written");
            if (File.Exists(config) || File.Exists(Path.Combine(folder, "tsconfig.json")))
                return ExitCode.Ok;
            await File.WriteAllTextAsync(config, Config, ct);
            Output.Console.WriteLine($"{config} is written");
            return ExitCode.Ok;
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{folder} cannot be written: {x.Message}", ExitCode.Usage);
        }
    }

    /// <summary>The path of the type definitions, in the folder of the harness.</summary>
    public static string Source => Path.Combine(AppContext.BaseDirectory, "harness", FileName);
}
