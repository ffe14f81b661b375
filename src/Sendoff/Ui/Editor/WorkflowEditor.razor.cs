using Microsoft.AspNetCore.Components;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workflows;
using Sendoff.Server;
using Sendoff.Ui.Controls;

namespace Sendoff.Ui.Editor;

/// <summary>The editor. Input is saved immediately as the workflow's draft. Check, test and deploy use the saved files.</summary>
public sealed partial class WorkflowEditor : IDisposable
{
    /// <summary>Maximum size of a file that can be edited here, in characters.</summary>
    public const int LargestChars = 1024 * 1024;

    readonly CancellationTokenSource end = new();
    DraftSession session = null!;
    CodeEditor? code;
    string eventJson = "{}",
        shownFile = "",
        path = "",
        said = "";

    // Busy until the first check has ended, so that no button is enabled without effect.
    bool isDry = true,
        isBusy = true,
        isBad,
        isAlone;
    RunId? past;
    int turns;
    Step? shownStep;

    /// <summary>Variables and secrets, for completion.</summary>
    IReadOnlyList<string> names = [];
    string yamlFile = WorkflowReader.YamlFile;

    [Inject]
    public Drafts Drafts { get; set; } = null!;

    [Inject]
    public WorkflowCatalog Catalog { get; set; } = null!;

    [Inject]
    public WorkflowChanges Changes { get; set; } = null!;

    [Inject]
    public ServerOptions Options { get; set; } = null!;

    [Inject]
    public SecretCatalog Secrets { get; set; } = null!;

    [Inject]
    public NavigationManager Navigation { get; set; } = null!;

    [Parameter, EditorRequired]
    public string Name { get; set; } = "";

    /// <summary>The URL of the server.</summary>
    [Parameter, EditorRequired]
    public string Origin { get; set; } = "";

    [Parameter]
    public string? File { get; set; }

    [Parameter]
    public string? Step { get; set; }

    [Parameter]
    public int Line { get; set; }

    /// <summary>The run shown below.</summary>
    [Parameter]
    public string? Run { get; set; }

    [Parameter]
    public string? Send { get; set; }

    bool ShowsSettings => File == yamlFile;
    bool CanAct => RendererInfo.IsInteractive && !isBusy;
    IReadOnlyList<Step> Steps => session.Definition?.Steps ?? [];
    IReadOnlyList<WorkflowProblem> Problems => session.Check?.Problems ?? [];

    protected override async Task OnInitializedAsync()
    {
        session = new(Drafts, Catalog, Changes, Options);
        path = "/workflows/" + Uri.EscapeDataString(Name);
        await session.OpenAsync(Name, end.Token);
        names = [.. Secrets.Entries.Select(static entry => entry.Name).Order(StringComparer.Ordinal)];
    }

    protected override void OnParametersSet() => Show();

    /// <summary>Shows the file and step in the URL, otherwise those of the first step.</summary>
    void Show()
    {
        if (session.Workflow is null)
            return;
        yamlFile = session.Files.ContainsKey("workflow.yml") ? "workflow.yml" : WorkflowReader.YamlFile;
        shownStep =
            Steps.FirstOrDefault(step => step.Name == Step)
            ?? Steps.FirstOrDefault(step => step.File == File)
            ?? (Steps is [var first, ..] && (File is null || ShowsSettings && !session.Files.ContainsKey(yamlFile)) ? first : null);
        shownFile =
            File is not null && session.Files.ContainsKey(File) ? File
            : shownStep is not null && session.Files.ContainsKey(shownStep.File) ? shownStep.File
            : session.Files.Keys.FirstOrDefault(static file => file == WorkflowReader.YamlFile)
                ?? session.Files.Keys.FirstOrDefault()
                ?? "";
    }

    /// <summary>Loads the steps once when the page opens, to find their props.</summary>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!firstRender || session.Workflow is null)
            return;
        isBusy = false;
        await ActAsync("", async () => await session.CheckAsync(end.Token));
        StateHasChanged();
    }

    string UrlOf(params ReadOnlySpan<(string Name, string? Value)> query) => Words.Url(path, query);

    string UrlOfStep(Step step) => UrlOf(("step", step.Name), ("run", Run));

    string UrlOfFile(string file, int? line = null) =>
        UrlOf(("file", file), ("line", line?.ToString(System.Globalization.CultureInfo.InvariantCulture)), ("run", Run));

    string UrlOfTrigger(string key) => $"{Origin}/hooks/{Uri.EscapeDataString(key)}";

    Uri SampleUrl => new(UrlOfTrigger(session.Workflow!.Triggers.FirstOrDefault(static one => one.Type == "http")?.Key ?? ""));

    int IndexOf(Step step) => Steps.ToList().FindIndex(one => one.Name == step.Name);

    bool HasProblem(string file) => Problems.Any(problem => problem.File == file);

    async Task<bool> TypedAsync((string Path, string Text) typed)
    {
        session.Type(typed.Path, typed.Text);
        bool isSaved = await ChangeAsync(null);
        StateHasChanged();
        return isSaved;
    }

    /// <summary>Saves changes or shows the error. Returns whether they are saved.</summary>
    async Task<bool> ChangeAsync(string? mistake)
    {
        int turn = ++turns;
        mistake ??= await TryAsync(() => session.SaveAsync(end.Token));
        // Only the result of the latest change is used.
        if (turn == turns)
            Say(mistake ?? (session.IsDraft ? "Draft saved." : "Nothing differs from the current version."), mistake is not null);
        Show();
        return mistake is null;
    }

    Task AddStepAsync(string name) => ChangeAndGoAsync(session.AddStep(name), ("step", name));

    Task CreateAsync(string file) => ChangeAndGoAsync(session.Create(file), ("file", file));

    Task RenameAsync(string to) => ChangeAndGoAsync(session.Rename(shownFile, to), ("file", to));

    Task DeleteAsync() => ChangeAndGoAsync(session.Delete(shownFile));

    async Task ChangeAndGoAsync(string? mistake, params (string, string?)[] query)
    {
        await ChangeAsync(mistake);
        if (mistake is null)
            Navigation.NavigateTo(UrlOf(query));
    }

    async Task SetPropAsync((PropDefinition Prop, string Text) set)
    {
        var (value, mistake) = PropInput.Parse(set.Prop, set.Text);
        await ChangeAsync(mistake ?? session.SetProp(shownStep is null ? -1 : IndexOf(shownStep), set.Prop.Name, value));
    }

    Task PressedAsync(string what) =>
        !CanAct ? Task.CompletedTask
        : what == "test" ? TestAsync()
        : CheckAsync();

    Task CheckAsync() =>
        ActAsync(
            "Checking…",
            async () =>
            {
                string? mistake = await session.CheckAsync(end.Token);
                if (mistake is null && Problems.Count == 0)
                    Say("No errors found.", false);
                return mistake;
            }
        );

    Task TestAsync() =>
        ActAsync(
            "Testing…",
            async () =>
            {
                var (run, mistake) =
                    isAlone && past is { } from && shownStep is not null
                        ? await session.TestStepAsync(shownStep.Name, from, isDry, end.Token)
                        : await session.TestAsync(eventJson, isDry, end.Token);
                if (run is not { } made)
                    return mistake;
                Say(
                    isDry
                        ? "Test finished; see the run below. Nothing was sent."
                        : "Test finished; see the run below. Its sends are delivered.",
                    false
                );
                Navigation.NavigateTo(UrlOf(("step", Step), ("file", File), ("run", made.ToString())));
                return null;
            }
        );

    Task DeployAsync() =>
        ActAsync(
            "Deploying…",
            async () =>
            {
                string? mistake = await session.DeployAsync(end.Token);
                if (mistake is null && Problems.Count == 0)
                    Say($"Deployed as version {session.Workflow!.Version}.", false);
                return mistake;
            }
        );

    Task DiscardAsync() =>
        ActAsync(
            "",
            async () =>
            {
                await session.DiscardAsync(end.Token);
                if (code is not null)
                    await code.ForgetAsync();
                Say("Draft discarded.", false);
                return null;
            }
        );

    Task UndoAsync()
    {
        session.Undo();
        return ChangeAsync(null);
    }

    Task ReadAgainAsync() =>
        ActAsync(
            "",
            async () =>
            {
                if (code is not null)
                    await code.ForgetAsync();
                return await session.OpenAsync(Name, end.Token) ? null : "The workflow was deleted.";
            }
        );

    Task InsistAsync() => ActAsync("", () => session.InsistAsync(end.Token));

    /// <summary>Runs one action at a time, after saving the current input, and shows its error.</summary>
    async Task ActAsync(string meanwhile, Func<Task<string?>> act)
    {
        if (isBusy)
            return;
        isBusy = true;
        Say(meanwhile, false);
        string? mistake = await TryAsync(async () =>
        {
            if (code is not null)
                await code.FlushAsync();
            return await act();
        });
        isBusy = false;
        if (mistake is not null)
            Say(mistake, true);
        else if (Problems.Count > 0)
            Say($"{Words.Several(Problems.Count, "error", "errors")}, see below.", true);
        else if (said == meanwhile)
            Say("", false);
        Show();
    }

    /// <summary>Converts exceptions of the engine to an error message. If the reader has left, nothing is shown.</summary>
    async Task<string?> TryAsync(Func<Task<string?>> act)
    {
        try
        {
            return await act();
        }
        catch (Exception) when (end.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception x) when (Problem.Of(x) is { } problem)
        {
            return problem.Detail ?? problem.Title;
        }
    }

    void Say(string text, bool bad) => (said, isBad) = (text, bad);

    void Fail(string mistake) => Say(mistake, true);

    public void Dispose()
    {
        end.Cancel();
        end.Dispose();
    }
}
