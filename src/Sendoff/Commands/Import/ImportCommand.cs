using System.CommandLine;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Sendoff.Engine;
using Spectre.Console;

namespace Sendoff.Commands.Import;

/// <summary><c>sendoff import DIR|ZIP</c>: converts Pipedream projects to folders that can be deployed, with a report.</summary>
static class ImportCommand
{
    sealed record Request(
        string Path,
        string Output,
        string? Answers,
        bool Json,
        string? Components,
        bool WithoutNpm,
        IReadOnlyList<KeyValuePair<string, string?>> Settings
    );

    public static Command Build()
    {
        var path = new Argument<string>("path")
        {
            Description = "A GitHub-sync project or one of its workflow folders, a ZIP of it, or an export archive",
        };
        var output = new Option<string>("--output", "-o")
        {
            Description = "Output folder (default: ./imported)",
            DefaultValueFactory = _ => "imported",
        };
        var answers = new Option<string?>("--answers") { Description = "A YAML or JSON file with answers to the questions of the import" };
        var components = new Option<string?>("--components")
        {
            Description = "A clone of Pipedream's repository, for registry actions that npm does not have",
        };
        var withoutNpm = new Option<bool>("--no-npm") { Description = "Do not look for registry actions in npm packages" };
        var json = new Option<bool>("--json") { Description = "Print the report as JSON" };
        var command = new Command(
            "import",
            $"Import Pipedream workflows. Registry actions are copied from npm, --components or, if {PipedreamApi.KeyVariable} is set, "
                + "Pipedream's API"
        )
        {
            path,
            output,
            answers,
            components,
            withoutNpm,
            json,
            ServeCommand.Set,
        };
        command.SetAction(
            (parsed, ct) =>
                ImportAsync(
                    new(
                        parsed.GetValue(path)!,
                        parsed.GetValue(output)!,
                        parsed.GetValue(answers),
                        parsed.GetValue(json),
                        parsed.GetValue(components),
                        parsed.GetValue(withoutNpm),
                        [.. ServeCommand.Flags(parsed)]
                    ),
                    ct
                )
        );
        return command;
    }

    static async Task<int> ImportAsync(Request request, CancellationToken ct)
    {
        var answers = request.Answers is null ? ImportAnswers.None : ImportAnswers.Read(request.Answers);
        using var api = PipedreamApi.FromEnvironment();
        var components = Sources(request, api);
        var found = SyncedProject.Read(request.Path);
        var imported = await ImportAsync(found, answers, components, ct);
        if (request.Output.Length == 0)
            throw new CommandException("--output is empty; give a folder", ExitCode.Usage);
        string root = Path.GetFullPath(request.Output);
        if (request.Answers is null && !request.Json && Output.Progress.Profile.Capabilities.Interactive && !Console.IsInputRedirected)
        {
            foreach (var workflow in imported)
                answers.Ask(workflow, Output.Progress);
            imported = await ImportAsync(found, answers, components, ct);
        }
        foreach (var workflow in imported)
        foreach (var (name, text) in workflow.Files)
            Write(root, workflow.Folder, name, text);
        Write(root, "", "import-report.md", ImportReport.Markdown(imported));
        if (request.Answers is null && !answers.IsEmpty)
            Write(root, "", "answers.yaml", answers.ToYaml());
        if (request.Json)
            Output.Result(
                JsonSerializer.Serialize(
                    imported.Select(ImportReport.Document.From).ToList(),
                    PlainJsonEncoder.OptionsOf(ImportJson.Default)
                )
            );
        else
            ImportReport.Print(imported, root);
        return imported.Any(static workflow => workflow.Verdict == ImportVerdict.CannotRun) ? ExitCode.RunFailed : ExitCode.Ok;
    }

    static ComponentSources Sources(Request request, PipedreamApi? api) =>
        new([
            request.WithoutNpm ? new NoComponents("npm", "disabled by --no-npm") : new NpmComponents(() => LoadSettings(request.Settings)),
            request.Components is { } folder ? new CheckoutComponents(folder) : new NoComponents("--components", "not given"),
            api is not null ? api : new NoComponents("Pipedream's API", $"{PipedreamApi.KeyVariable} is not set"),
        ]);

    static Settings LoadSettings(IEnumerable<KeyValuePair<string, string?>> flags)
    {
        var (settings, warnings) = Settings.Load(flags, development: false);
        foreach (string warning in warnings)
            Output.Warning(warning);
        return settings;
    }

    static async Task<List<ImportedWorkflow>> ImportAsync(
        IReadOnlyList<SyncedWorkflow> found,
        ImportAnswers answers,
        ComponentSources components,
        CancellationToken ct
    )
    {
        var accounts = new SharedAccounts();
        var imported = new List<ImportedWorkflow>();
        foreach (var workflow in found)
            imported.Add(await WorkflowImport.OfAsync(workflow, answers, accounts, components, ct));
        return imported;
    }

    static void Write(string root, string folder, string name, string text)
    {
        string whole = Path.GetFullPath(Path.Combine(root, folder)),
            file = Path.GetFullPath(Path.Combine(whole, name));
        if (!file.StartsWith(Path.TrimEndingDirectorySeparator(whole) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            throw new CommandException($"{folder}: the path '{name}' is outside the folder", ExitCode.Usage);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, text);
        }
        catch (PathTooLongException)
        {
            throw new CommandException(
                $"{folder}: a file name is too long for this file system: {(name.Length > 100 ? name[..100] + "…" : name)}",
                ExitCode.Usage
            );
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{root} cannot be written: {x.Message}", ExitCode.Usage);
        }
    }
}

/// <summary>The report of an import, for the terminal, as a file and as JSON.</summary>
static class ImportReport
{
    internal sealed record Document(string Folder, string Name, string Verdict, IReadOnlyList<FindingDocument> Findings)
    {
        public static Document From(ImportedWorkflow workflow) =>
            new(
                workflow.Folder,
                workflow.Name,
                Code(workflow.Verdict),
                [.. workflow.Findings.Select(static f => new FindingDocument(Code(f.Verdict), f.Where, f.What, f.Remedy))]
            );
    }

    /// <param name="Verdict"><c>runs_unchanged needs_answer cannot_run</c>.</param>
    internal sealed record FindingDocument(string Verdict, string Where, string What, string Remedy);

    static string Code(ImportVerdict verdict) =>
        verdict switch
        {
            ImportVerdict.RunsUnchanged => "runs_unchanged",
            ImportVerdict.NeedsAnswer => "needs_answer",
            _ => "cannot_run",
        };

    static string Words(ImportVerdict verdict) => Code(verdict).Replace('_', ' ');

    public static void Print(IReadOnlyList<ImportedWorkflow> imported, string root)
    {
        foreach (var workflow in imported)
        {
            string colour = workflow.Verdict switch
            {
                ImportVerdict.RunsUnchanged => "green",
                ImportVerdict.NeedsAnswer => "yellow",
                _ => "red",
            };
            var tree = new Tree(new Markup($"[bold]{workflow.Folder.EscapeMarkup()}[/] [{colour}]{Words(workflow.Verdict)}[/]"));
            foreach (var finding in workflow.Findings)
                tree.AddNode(new Markup($"[bold]{finding.Where.EscapeMarkup()}[/]: {finding.What.EscapeMarkup()}"))
                    .AddNode(new Markup($"[grey]{finding.Remedy.EscapeMarkup()}[/]"));
            Output.Console.Write(tree);
        }
        Output.Console.WriteLine(
            $"{Counts(imported)}. The folders and import-report.md are in {root}. To deploy a workflow, run `sendoff deploy FOLDER`."
        );
    }

    static string Counts(IReadOnlyList<ImportedWorkflow> imported) =>
        string.Join(
            ", ",
            Enum.GetValues<ImportVerdict>()
                .Select(verdict => (verdict, Count: imported.Count(workflow => workflow.Verdict == verdict)))
                .Where(static of => of.Count > 0)
                .Select(static of => $"{of.Count} {Words(of.verdict)}")
        );

    public static string Markdown(IReadOnlyList<ImportedWorkflow> imported)
    {
        var text = new StringBuilder("# Import report\n\n").Append(Counts(imported)).Append(".\n");
        foreach (var workflow in imported)
        {
            text.Append($"\n## {workflow.Folder}: {Words(workflow.Verdict)}\n");
            foreach (var finding in workflow.Findings)
                text.Append($"- **{finding.Where}** ({Words(finding.Verdict)}): {finding.What}. {finding.Remedy}\n");
        }
        // The file may be printed in a terminal too.
        return TerminalText.Clean(text.ToString());
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(List<ImportReport.Document>))]
internal sealed partial class ImportJson : JsonSerializerContext;
