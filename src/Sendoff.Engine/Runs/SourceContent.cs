using Sendoff.Engine.Packages;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>Compares an event source in two versions of its workflow: only a changed source is activated again (K4).</summary>
internal static class SourceContent
{
    public static bool AreSame(WorkflowVersion old, WorkflowVersion now, string name)
    {
        if (old.Definition.FindSource(name) is not { } before || now.Definition.FindSource(name) is not { } after)
            return false;
        return before.Code.File == after.Code.File
            && before.Code.Props?.GetRawText() == after.Code.Props?.GetRawText()
            && FilesOf(old, before).SequenceEqual(FilesOf(now, after));
    }

    // All that the source may import: not the description of the workflow, and not the code of its steps.
    static IEnumerable<KeyValuePair<string, string>> FilesOf(WorkflowVersion version, Source source)
    {
        var steps = version.Definition.Steps.Select(static step => step.File).ToHashSet();
        return version
            .Files.Where(file =>
                file.Key == source.Code.File
                || !steps.Contains(file.Key)
                    && Path.GetExtension(file.Key) is ".js" or ".mjs" or ".cjs" or ".ts" or ".json"
                    && file.Key != SourceFacts.File
                    && (file.Key != PackageFolder.LockFile || source.Code.Component is not null)
            )
            .OrderBy(static file => file.Key, StringComparer.Ordinal);
    }
}
