using System.Text.Json;
using System.Text.Json.Nodes;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Packages;

/// <summary>The packages that a workflow needs: the imports of its steps and of the files that they import.</summary>
internal sealed class PackagePlan
{
    static readonly string[] endings = ["", ".js", ".mjs", ".cjs", ".ts", ".json", "/index.js"];

    readonly IReadOnlyDictionary<string, string> files;
    readonly SortedDictionary<string, (PackageSpecifier Package, Import First)> asked = new(StringComparer.Ordinal);
    readonly List<WorkflowProblem> problems = [];

    readonly int most;

    PackagePlan(IReadOnlyDictionary<string, string> files, int most) => (this.files, this.most) = (files, most);

    public IReadOnlyList<WorkflowProblem> Problems => problems;

    /// <summary>The requested packages, with the first import of each.</summary>
    public IEnumerable<(PackageSpecifier Package, Import First)> Asked => asked.Values;
    public bool IsEmpty => asked.Count == 0;

    /// <param name="most">Maximum number of requested packages. Further imports are not read.</param>
    public static PackagePlan Of(WorkflowDefinition definition, IReadOnlyDictionary<string, string> files, int most)
    {
        var plan = new PackagePlan(files, most);
        var waiting = new Queue<string>();
        foreach (var step in definition.Code.Where(s => !s.Disabled))
        {
            if (step.Component is { } component)
                plan.Ask(plan.InYaml(component));
            else
                waiting.Enqueue(step.File);
        }
        var seen = new HashSet<string>(waiting, StringComparer.Ordinal);
        while (waiting.TryDequeue(out string? file))
        {
            if (!files.TryGetValue(file, out string? source) || file.EndsWith(".json", StringComparison.Ordinal))
                continue;
            foreach (var import in ImportScanner.Scan(file, source))
            {
                if (plan.asked.Count + plan.problems.Count > most)
                    return plan;
                if (import.Specifier.StartsWith('.'))
                {
                    if (plan.FindFile(file, import.Specifier) is { } next && seen.Add(next))
                        waiting.Enqueue(next);
                }
                else if (PackageSpecifier.IsPackage(import.Specifier))
                    plan.Ask(import);
            }
        }
        return plan;
    }

    void Ask(Import import)
    {
        if (PackageSpecifier.Read(import.Specifier, out var package) is { } wrong)
            problems.Add(Problem(import, wrong, "write import x from \"name\", \"name@1.2.3\" or \"@scope/name@^1.2/sub\""));
        else if (asked.ContainsKey(package.Folder))
            return;
        else if (asked.Count == most)
            problems.Add(Problem(import, $"a workflow can import at most {most} packages"));
        // A package in the workflow's own files is not installed.
        else if (!files.Keys.Any(path => $"{path}/".StartsWith($"node_modules/{package.Folder}/", StringComparison.Ordinal)))
            asked.Add(package.Folder, (package, import));
    }

    public static WorkflowProblem Problem(Import import, string message, string? hint = null) =>
        new(message, import.File, import.Line, import.Column, import.SourceLine, hint);

    string? FindFile(string from, string specifier)
    {
        var parts = new List<string>(from.Split('/')[..^1]);
        foreach (string part in specifier.Split('/'))
        {
            if (part == ".." && parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
            else if (part is not ("." or ".." or ""))
                parts.Add(part);
        }
        string path = string.Join('/', parts);
        return endings.Select(ending => path + ending).FirstOrDefault(files.ContainsKey);
    }

    Import InYaml(string component)
    {
        string specifier = component["npm:".Length..];
        string yaml = files.ContainsKey(WorkflowReader.YamlFile) ? WorkflowReader.YamlFile : "workflow.yml";
        string text = files.GetValueOrDefault(yaml, "");
        int at = Math.Max(text.IndexOf(component, StringComparison.Ordinal), 0),
            start = at == 0 ? 0 : text.LastIndexOf('\n', at - 1) + 1;
        return new(specifier, yaml, text.AsSpan(0, start).Count('\n') + 1, at - start + 1, text, start);
    }

    /// <summary>The dependencies for npm, and the installed name for each name in an import.</summary>
    /// <remarks>One version of a package keeps the package's name: the version requested without a range, if there is one. Other versions
    /// get different names.</remarks>
    public (JsonObject Dependencies, IReadOnlyDictionary<string, string> Installed) Dependencies()
    {
        var wanted = FolderRanges();
        var dependencies = new JsonObject();
        var installed = new Dictionary<string, string>(StringComparer.Ordinal);
        int others = 0;
        foreach (var same in asked.Values.Select(a => a.Package).GroupBy(p => p.Name, StringComparer.Ordinal))
        {
            foreach (var package in same.OrderBy(p => p.Range, StringComparer.Ordinal))
            {
                string range = package.Range ?? wanted.GetValueOrDefault(package.Name, "latest");
                string name = dependencies.ContainsKey(package.Name) ? $"sendoff-{++others}" : package.Name;
                dependencies[name] = name == package.Name ? range : $"npm:{package.Name}@{range}";
                installed[package.Folder] = name;
            }
        }
        return (dependencies, installed);
    }

    // The folder's package.json has the ranges of imports without a range.
    Dictionary<string, string> FolderRanges()
    {
        try
        {
            return
                files.TryGetValue("package.json", out string? text)
                && JsonSyntax.ParseForeignNode(text)?["dependencies"] is JsonObject dependencies
                ? dependencies
                    .Where(d =>
                        d.Value is JsonValue v
                        && v.GetValueKind() == JsonValueKind.String
                        && PackageSpecifier.IsFromRegistry(d.Value.GetValue<string>())
                    )
                    .ToDictionary(d => d.Key, d => d.Value!.GetValue<string>(), StringComparer.Ordinal)
                : [];
        }
        catch (Exception x) when (x is JsonException or InvalidOperationException or ArgumentException)
        {
            return []; // Node.js reports it.
        }
    }
}
