using System.Text;
using System.Text.Json;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workflows;
using Sendoff.Server;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui.Editor;

/// <summary>A workflow's draft in one editor session. Methods that change it return the error, or null.</summary>
public sealed class DraftSession(Drafts drafts, WorkflowCatalog catalog, WorkflowChanges changes, ServerOptions options)
{
    readonly SemaphoreSlim saving = new(1);

    /// <summary>The files as stored. Any difference found there was made by others.</summary>
    IReadOnlyDictionary<string, string> saved = new Dictionary<string, string>();

    public Workflow? Workflow { get; private set; }

    /// <summary>The files including unsaved changes.</summary>
    public SortedDictionary<string, string> Files { get; private set; } = new(StringComparer.Ordinal);

    /// <summary>Whether the files differ from the current version.</summary>
    public bool IsDraft { get; private set; }

    /// <summary>Others saved another draft or deployed. Nothing is saved until their version is loaded or overwritten.</summary>
    public bool IsOvertaken { get; private set; }

    /// <summary>The result of the last check; null if the files have changed since.</summary>
    public WorkflowCheck? Check { get; private set; }

    /// <summary>The props of each step, as last found.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<PropDefinition>> Props { get; private set; } =
        new Dictionary<string, IReadOnlyList<PropDefinition>>();

    /// <summary>The definition from the last readable state of the files.</summary>
    public WorkflowDefinition? Definition { get; private set; }

    string? YamlFile => new[] { WorkflowReader.YamlFile, "workflow.yml" }.FirstOrDefault(Files.ContainsKey);

    /// <summary>Reads the draft from the store and discards unsaved changes. Returns false if the workflow does not exist.</summary>
    public async Task<bool> OpenAsync(string name, CancellationToken ct)
    {
        if (await drafts.FindAsync(name, ct) is not { } draft)
            return false;
        Files = new(draft.Files.ToDictionary(), StringComparer.Ordinal);
        (Workflow, saved, IsDraft, IsOvertaken, removed) = (draft.Workflow, draft.Files, draft.IsChanged, false, null);
        Changed();
        return true;
    }

    /// <summary>The files before the last removal; null if it can no longer be undone.</summary>
    SortedDictionary<string, string>? removed;

    public bool CanUndo => removed is not null;

    /// <summary>Restores the files of the last removal.</summary>
    public void Undo()
    {
        if (removed is null)
            return;
        (Files, removed) = (removed, null);
        Changed();
    }

    void KeepForUndo() => removed = new(Files, StringComparer.Ordinal);

    /// <summary>Changes a file. An earlier removal can then no longer be undone.</summary>
    public void Type(string path, string text)
    {
        if (Files.TryGetValue(path, out string? before) && before != text)
            removed = null;
        Write(path, text);
    }

    void Write(string path, string text)
    {
        if (Files.TryGetValue(path, out string? before) && before == text)
            return;
        Files[path] = text;
        Changed();
    }

    void Changed()
    {
        Check = null;
        Definition = WorkflowReader.Read(Workflow!.Name, Files).Definition ?? Definition;
    }

    public string? Create(string path)
    {
        if (FindFault(path) is { } fault)
            return fault;
        Write(path, "");
        return null;
    }

    public string? Rename(string from, string to)
    {
        if (from == to)
            return null;
        if (!Files.TryGetValue(from, out string? text))
            return $"The file `{from}` does not exist.";
        if (FindFault(to) is { } fault)
            return fault;
        if (YamlFile is { } yaml)
            Files[yaml] = WorkflowYaml.RenameFile(Files[yaml], from, to);
        Files.Remove(from);
        Write(to, text);
        return null;
    }

    public string? Delete(string path)
    {
        if (Definition?.Steps.FirstOrDefault(step => step.File == path) is { } user)
            return $"The step `{user.Name}` uses `{path}`. Remove the step first.";
        KeepForUndo();
        if (Files.Remove(path))
            Changed();
        return null;
    }

    string? FindFault(string path)
    {
        if (FilePath.FindFault(path) is { } fault)
            return $"`{path}` {fault}";
        if (!WorkflowReader.Belongs(path))
            return $"`{path}` is not a workflow file. File names end in .js .mjs .cjs .ts .json .yaml .md or .txt, "
                + "or the file is in the folder attachments.";
        if (Files.ContainsKey(path))
            return $"The file `{path}` already exists.";
        if (FilePath.FindFolder(new Dictionary<string, string>(Files) { [path] = "" }) is { } both)
            return $"`{both}` is a file and cannot also be a folder.";
        return Files.Count < options.DeployFiles ? null : $"A workflow has at most {options.DeployFiles:N0} files.";
    }

    /// <summary>Adds a last step with a new file.</summary>
    public string? AddStep(string name)
    {
        string file = name + "/entry.mjs";
        if (Definition?.Steps.Any(step => step.Name == name) == true)
            return $"A step `{name}` already exists.";
        if (!WorkflowReader.IsStepName(name))
            return $"`{name}` is not a valid step name. Use letters, digits, _ $ and -, and do not start with a digit.";
        if (!Files.ContainsKey(file) && FindFault(file) is { } fault)
            return fault;
        if (ChangeYaml(yaml => WorkflowYaml.AddStep(yaml, name, file)) is { } mistake)
            return mistake;
        if (!Files.ContainsKey(file))
            Write(file, "export default defineComponent({\n  async run({ steps, $ }) {\n\n  },\n});\n");
        return null;
    }

    public string? MoveStep(int from, int to) => ChangeYaml(yaml => WorkflowYaml.MoveStep(yaml, from, to));

    /// <summary>Removes a step, and its file unless another file uses it.</summary>
    public string? RemoveStep(int step)
    {
        if (Definition is not { Steps: var steps } || step < 0 || step >= steps.Count)
            return null;
        if (steps.Count == 1)
            return "A workflow has at least one step.";
        string file = steps[step].File,
            name = file.Split('/')[^1];
        KeepForUndo();
        if (ChangeYaml(yaml => WorkflowYaml.RemoveStep(yaml, step)) is { } mistake)
            return mistake;
        if (Files.All(other => other.Key == file || !other.Value.Contains(name, StringComparison.Ordinal)) && Files.Remove(file))
            Changed();
        return null;
    }

    /// <param name="value">Null removes the value, so that the default applies.</param>
    public string? SetProp(int step, string prop, JsonElement? value) => ChangeYaml(yaml => WorkflowYaml.SetProp(yaml, step, prop, value));

    public string? SetDisabled(int step, bool disabled) => ChangeYaml(yaml => WorkflowYaml.SetDisabled(yaml, step, disabled), isForm: true);

    /// <summary>Changes triggers or settings. A value that a deploy would refuse is not written.</summary>
    public string? ChangeForm(Func<string, string?> change)
    {
        var before = new SortedDictionary<string, string>(Files, StringComparer.Ordinal);
        string? mistake = ChangeYaml(change, isForm: true);
        if (mistake is null)
            removed = before;
        return mistake;
    }

    /// <summary>The text of <c>workflow.yaml</c>, or the equivalent text for a folder of step files.</summary>
    public string Yaml => Files.GetValueOrDefault(YamlFile ?? "") ?? WorkflowYaml.Write(Workflow!.Name, Definition?.Steps ?? []);

    /// <summary>Creates a <c>workflow.yaml</c> for a folder of step files.</summary>
    /// <param name="isForm">The change is refused if the file could be read before it, but not after it.</param>
    string? ChangeYaml(Func<string, string?> change, bool isForm = false)
    {
        if (Definition is null)
            return "workflow.yaml has errors. Correct them first.";
        string file = YamlFile ?? WorkflowReader.YamlFile;
        if (change(Yaml) is not { } changed)
            return $"`{file}` cannot be changed by this form without losing its formatting. Edit the file instead.";
        if (isForm && FindFaultOf(file, Yaml) is null && FindFaultOf(file, changed) is { } fault)
            return Words.Sentence(fault.Message) + (fault.Hint is { } hint ? " " + Words.Sentence(hint) : "");
        Write(file, changed);
        return null;
    }

    WorkflowProblem? FindFaultOf(string file, string yaml) =>
        WorkflowReader.Read(Workflow!.Name, new Dictionary<string, string>(Files) { [file] = yaml }) is { Problems: [var first, ..] }
            ? first
            : null;

    /// <summary>Lines of all files that contain a text, ignoring case.</summary>
    public IEnumerable<(string File, int Line, string Text)> Find(string sought) =>
        sought.Length == 0
            ? []
            : Files
                .SelectMany(file => file.Value.Split('\n').Select((text, at) => (file.Key, Line: at + 1, text)))
                .Where(line => line.text.Contains(sought, StringComparison.OrdinalIgnoreCase))
                .Select(static line => (line.Key, line.Line, line.text.Trim()));

    /// <summary>Saves the changes, even with errors.</summary>
    public async Task<string?> SaveAsync(CancellationToken ct)
    {
        await saving.WaitAsync(ct);
        try
        {
            if (IsSame(Files, saved))
                return null;
            if (Files.Values.Sum(static text => (long)Encoding.UTF8.GetByteCount(text)) > options.DeployBytes)
                return $"The files have more than {options.DeployBytes:N0} bytes, the limit of a deploy. Nothing is saved.";
            if (await drafts.FindAsync(Workflow!.Name, ct) is not { } found)
                return "The workflow was deleted. Nothing is saved.";
            IsOvertaken = !IsSame(found.Files, saved);
            if (IsOvertaken)
                return "This workflow was changed elsewhere. Your changes are not saved.";
            var files = Files.ToDictionary();
            if (await drafts.SaveAsync(Workflow.Name, files, ct) is not { } draft)
                return "The workflow was deleted. Nothing is saved.";
            (saved, IsDraft) = (files, draft.IsChanged);
            return null;
        }
        finally
        {
            saving.Release();
        }
    }

    /// <summary>Overwrites drafts that others have saved.</summary>
    public async Task<string?> InsistAsync(CancellationToken ct)
    {
        if (await drafts.FindAsync(Workflow!.Name, ct) is { } found)
            saved = found.Files;
        return await SaveAsync(ct);
    }

    public async Task<string?> CheckAsync(CancellationToken ct)
    {
        if (await SaveAsync(ct) is { } mistake)
            return mistake;
        Found(await catalog.CheckAsync(Workflow!.Name, Files.ToDictionary(), ct));
        return null;
    }

    /// <summary>Starts a run of the draft. Returns an error if there is no run, unless the check reports it.</summary>
    /// <param name="isDry">Capture the sends.</param>
    public async Task<(RunId? Run, string? Mistake)> TestAsync(string eventJson, bool isDry, CancellationToken ct)
    {
        if (FindEventFault(eventJson) is { } fault)
            return (null, fault);
        if (await SaveAsync(ct) is { } mistake)
            return (null, mistake);
        if (await drafts.TestAsync(Workflow!.Name, Encoding.UTF8.GetBytes(eventJson), isDry, ct) is not { } made)
            return (null, "The workflow was deleted.");
        await AdoptAsync(ct);
        if (made.Run is not null)
            return (made.Run.Run.Id, null);
        Found(new(made.Problems, Props));
        return (null, null);
    }

    /// <summary>Starts a run of one step, with the event and the exports of a past run. Returns an error if there is no run, unless the
    /// check reports it.</summary>
    /// <inheritdoc cref="TestAsync" path="/param"/>
    public async Task<(RunId? Run, string? Mistake)> TestStepAsync(string step, RunId past, bool isDry, CancellationToken ct)
    {
        if (await SaveAsync(ct) is { } mistake)
            return (null, mistake);
        if (await drafts.TestStepAsync(Workflow!.Name, step, past, isDry, ct) is not { } made)
            return (null, "The workflow or the run was deleted.");
        if (made.Run is not null)
            return (made.Run.Run.Id, null);
        Found(new(made.Problems, Props));
        return (null, null);
    }

    static string? FindEventFault(string json)
    {
        try
        {
            using var parsed = JsonDocument.Parse(json, new() { MaxDepth = RawJson.ShownDepth });
            return null;
        }
        catch (JsonException x)
        {
            return $"The test event is not JSON: line {x.LineNumber + 1}, {x.Message.Split(" LineNumber")[0].Split(" Path:")[0]}";
        }
    }

    /// <summary>Deploys, unless the check has problems.</summary>
    public async Task<string?> DeployAsync(CancellationToken ct)
    {
        if (await SaveAsync(ct) is { } mistake)
            return mistake;
        if (!IsDraft)
            return "There is nothing to deploy: the files are those of the current version.";
        var result = await changes.DeployAsync(Workflow!.Name, Files.ToDictionary(), ct);
        if (result.Workflow is null)
            Found(new(result.Problems, Props));
        else
        {
            await OpenAsync(Workflow.Name, ct);
            if (result.Warnings.Count > 0)
                Found(new([], Props) { Warnings = result.Warnings });
        }
        return null;
    }

    public async Task DiscardAsync(CancellationToken ct)
    {
        var given = new SortedDictionary<string, string>(Files, StringComparer.Ordinal);
        await drafts.DiscardAsync(Workflow!.Name, ct);
        await OpenAsync(Workflow.Name, ct);
        removed = given;
    }

    /// <summary>Adds the lock file of packages that a test installed. A draft that another user has saved meanwhile is not
    /// changed.</summary>
    async Task AdoptAsync(CancellationToken ct)
    {
        if (
            await drafts.FindAsync(Workflow!.Name, ct) is not { } found
            || saved.Any(file => found.Files.GetValueOrDefault(file.Key) != file.Value)
        )
            return;
        foreach (var (path, text) in found.Files)
            Files.TryAdd(path, text);
        (saved, IsDraft) = (found.Files, found.IsChanged);
    }

    void Found(WorkflowCheck check)
    {
        Check = check;
        Props = check.Props.Count > 0 ? check.Props : Props;
    }

    static bool IsSame(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        one.Count == other.Count && one.All(file => other.TryGetValue(file.Key, out string? text) && text == file.Value);
}
