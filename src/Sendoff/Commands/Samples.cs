using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>The included sample workflows. They are deployed if the store has no workflows.</summary>
static class Samples
{
    public static string Folder => Path.Combine(AppContext.BaseDirectory, "samples");

    public static async Task DeployAtFirstStartAsync(IStore store, WorkflowCatalog catalog, CancellationToken ct)
    {
        if (!Directory.Exists(Folder) || (await store.ListWorkflowsAsync(ct)).Count > 0)
            return;
        Output.Progress.MarkupLine("sendoff: deploying the samples");
        foreach (string folder in Directory.EnumerateDirectories(Folder).Order(StringComparer.Ordinal))
        {
            var (_, name, files) = WorkflowFolder.Read(folder);
            var result = await catalog.DeployAsync(name, files, ct);
            foreach (var problem in result.Problems)
                Output.Warning($"sample {name}: {problem.Message}");
        }
    }
}
