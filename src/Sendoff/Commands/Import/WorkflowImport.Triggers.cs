using System.Globalization;
using Sendoff.Engine.Workflows;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Commands.Import;

sealed partial class WorkflowImport
{
    bool triggerAnswered;

    // hi_ HTTP, ti_ timer, ei_ email, dc_ event source, sub_ another workflow's events: a synced file has the id only, an export also the
    // fields of the REST API.
    async Task ImportTriggersAsync(YamlMappingNode root, CancellationToken ct)
    {
        var triggers = new List<YamlMappingNode>();
        foreach (var trigger in Items(root, "triggers").OfType<YamlMappingNode>())
            triggers.Add(await ImportTriggerAsync(trigger, ct));
        var imported = new YamlSequenceNode(triggers.OrderBy(static one => Text(one, "disabled") == "true"));
        if (imported.Children.Count == 0)
            imported.Add(AnswerTo("") is { } given ? await AnsweredAsync("", given, ct) : new YamlMappingNode("type", "http"));
        root.Children[new YamlScalarNode("triggers")] = imported;
    }

    async Task<YamlMappingNode> ImportTriggerAsync(YamlMappingNode trigger, CancellationToken ct)
    {
        string id = Text(trigger, "id") ?? "",
            type = Text(trigger, "type") ?? "",
            prefix = id.Split('_')[0];
        if (Text(trigger, "active") == "false")
            Note(
                ImportVerdict.RunsUnchanged,
                "trigger",
                $"the trigger {id} is disabled on Pipedream",
                "it is enabled here; remove it from workflow.yaml, or add `disabled: true`"
            );
        (sourceTried, sourceNeedsApp) = (null, false);
        if (AnswerTo(id, only: true) is { } given)
            return await AnsweredAsync(id, given, ct);
        if (Value(trigger, "cron", "cron_expression") is { } cron)
            return Schedule(trigger, "cron", cron);
        if (
            Value(trigger, "interval_seconds") is { } text
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long seconds)
            && seconds > 0
        )
            return Schedule(trigger, "every", $"{seconds}s");
        if (prefix == "hi" || type == "http")
            return Http(id, trigger);
        if (id.Length == 0 && WorkflowKeys.Triggers.Contains(type))
            return trigger;
        if (await ImportSourceAsync(id, trigger, ct) is { } imported)
            return imported;
        return AnswerTo(id) is { } only ? await AnsweredAsync(id, only, ct) : AskForTrigger(id, prefix, trigger);
    }

    /// <summary>An answer may name an event source by its key.</summary>
    async Task<YamlMappingNode> AnsweredAsync(string id, YamlMappingNode given, CancellationToken ct) =>
        Value(given, "uses") is null ? given : await ImportSourceAsync(id, given, ct) ?? AskForTrigger(id, "dc", given);

    YamlMappingNode Http(string id, YamlMappingNode given)
    {
        if (id.Length > 0)
            Note(
                ImportVerdict.RunsUnchanged,
                "trigger",
                $"the HTTP trigger {id} gets a new URL, which the deploy prints",
                "tell its callers the new URL"
            );
        var trigger = new YamlMappingNode("type", "http");
        // A Sendoff trigger keeps its fields. The `key` of an exported one is part of Pipedream's URL.
        if (id.Length == 0)
            foreach (var (key, value) in given.Children.Where(static field => WorkflowKeys.HttpTrigger.Contains(field.Key.ToString())))
                trigger.Children[key] = value;
        if (Child(trigger, "response") is null && AnswersByItself(given))
            trigger.Add("response", "custom");
        return trigger;
    }

    bool AnswersByItself(YamlMappingNode trigger) =>
        Text(trigger, "custom_response") is { } said
            ? said == "true"
            : respondsByAction || source.Files.Values.Any(static code => RespondCall().IsMatch(code));

    static YamlMappingNode Schedule(YamlMappingNode trigger, string field, string value)
    {
        var schedule = new YamlMappingNode("type", ScheduleTrigger.TypeName);
        schedule.Add(field, new YamlScalarNode(value) { Style = ScalarStyle.DoubleQuoted });
        if (Value(trigger, "timezone", "tz") is { } zone)
            schedule.Add("timezone", zone);
        return schedule;
    }

    /// <summary>A trigger that the project does not describe is disabled until it is answered, because a guessed trigger could be a public
    /// URL.</summary>
    YamlMappingNode AskForTrigger(string id, string prefix, YamlMappingNode trigger)
    {
        var (what, type, example, hint) = (Value(trigger, "uses") is null ? prefix : "uses") switch
        {
            "ti" => ("a timer", ScheduleTrigger.TypeName, "{ type: schedule, cron: \"0 9 * * *\", timezone: Europe/Berlin }", ""),
            "sub" => (
                "a subscription to another workflow's events",
                EmitTrigger.TypeName,
                "{ type: emit, workflow: NAME }",
                "; NAME is the workflow that calls $.send.emit"
            ),
            "ei" => ("an email address", "http", "{ type: http }", "; a mail service can post received emails to an HTTP trigger"),
            "dc" or "uses" => (
                Value(trigger, "component_key", "name_slug", "uses") is { } component ? $"the event source {component}" : "an event source",
                "http",
                "{ uses: APP-NAME, props: {} }",
                sourceNeedsApp
                    ? "; its events come through Pipedream's own app ($.interface.apphook): register an app of your own with the "
                        + "service, and let it call `{ type: http }`"
                : sourceTried is { } tried
                    ? $"; no source has its code ({tried}): clone Pipedream's repository and give its folder "
                        + "with --components, or use another trigger"
                : "; APP-NAME is the source's key, such as rss-new-item-in-feed, and props is its configuration; or use another trigger"
            ),
            _ => ("of an unknown kind", "http", "{ type: http }", ""),
        };
        string shown = id.Length > 0 ? id : "without an id";
        var question = new ImportQuestion(null, example) { Trigger = id };
        findings.Add(
            new(
                ImportVerdict.NeedsAnswer,
                "trigger",
                $"the trigger {shown} is {what}, and the project does not describe it further. It is written as disabled",
                $"answer with `{source.Folder}: {{ triggers: {{ {(id.Length > 0 ? id : "\"\"")}: {example} }} }}`{hint}",
                question
            )
        );
        var written = new YamlMappingNode("type", type);
        if (id.Length > 0)
            written.Add("id", id);
        written.Add("disabled", "true");
        return written;
    }

    /// <summary>The answer for a trigger by its id. The workflow's only answer is used for the first trigger that needs one.</summary>
    YamlMappingNode? AnswerTo(string id, bool only = false)
    {
        if (answers.Trigger(source.Folder, id) is { } own)
            return own;
        if (only || triggerAnswered || answers.Trigger(source.Folder) is not { } given)
            return null;
        triggerAnswered = true;
        return given;
    }

    /// <summary>The text of a field; null if it is missing, empty or null.</summary>
    static string? Value(YamlMappingNode map, params string[] names) =>
        names
            .Select(name => Child(map, name))
            .OfType<YamlScalarNode>()
            .FirstOrDefault(static found =>
                found.Value is { Length: > 0 } && !(found.Style is ScalarStyle.Plain && found.Value is "null" or "~")
            )
            ?.Value;
}
