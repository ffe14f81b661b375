using Sendoff.Engine.Workflows;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

sealed partial class WorkflowImport
{
    const string AppHook = "$.interface.apphook";

    /// <summary>An event source whose code the project has, or whose key is known. Returns null for other triggers, and if no source of
    /// components has the code.</summary>
    async Task<YamlMappingNode?> ImportSourceAsync(string id, YamlMappingNode trigger, CancellationToken ct)
    {
        if (Value(trigger, "uses", "component_key") is not { } uses)
            return null;
        string where = id.Length > 0 ? $"trigger {id}" : "trigger";
        var written = new YamlMappingNode("uses", uses);
        if (id.Length > 0)
            written.Add("id", id);
        if (Value(trigger, "name") is { } name)
            written.Add("name", name);
        if (PropsOf(trigger) is { Children.Count: > 0 } props)
            written.Add("props", props);
        var key = RegistryKey.Parse(uses);
        string? code = Code(uses);
        if (code is null && key is not null)
        {
            key = key with { IsSource = true };
            var found = await components.FindAsync(key, ct);
            if (found.Component is not { } component)
            {
                sourceTried = string.Join("; ", found.Tried);
                return null;
            }
            code = component.CodeWithApp;
            if (!code.Contains(AppHook, StringComparison.Ordinal))
                UseCopy(written, where, uses, key, component, found);
        }
        else if (code is null && !uses.StartsWith("npm:", StringComparison.Ordinal))
            return null;
        if (code?.Contains(AppHook, StringComparison.Ordinal) == true)
        {
            sourceNeedsApp = true;
            return null;
        }
        ImportProps(written, where, key?.App, code);
        if (code is not null)
            LookAtCode(where, code);
        return written;
    }

    /// <summary>Why no source of components has the code of the trigger that is imported.</summary>
    string? sourceTried;

    /// <summary>The trigger that is imported is a source whose events only Pipedream's own app receives.</summary>
    bool sourceNeedsApp;

    static YamlMappingNode? PropsOf(YamlMappingNode trigger) =>
        Child(trigger, "props") as YamlMappingNode
        ?? Child(trigger, "configured_props") as YamlMappingNode
        // JSON is YAML.
        ?? (Value(trigger, "configured_props_json") is { } json ? BoundedYaml.Read(json, out _) as YamlMappingNode : null);
}
