using System.Globalization;
using System.Text.RegularExpressions;
using Cronos;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

public static partial class WorkflowReader
{
    const int ShortestToken = 8;

    [GeneratedRegex(@"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}\z")]
    private static partial Regex SecretPattern();

    [GeneratedRegex(@"^([0-9]{1,6})\s*/\s*(s|m|h)\z")]
    private static partial Regex RatePattern();

    sealed partial class Reading
    {
        TriggerToken? ReadBearer(YamlMappingNode map)
        {
            if (Text(map, "bearer") is not { } text)
                return null;
            if (SecretPattern().Match(text) is { Success: true } secret)
                return new(secret.Groups[1].Value, null);
            if (text.Length >= ShortestToken && text.All(static c => c is > ' ' and <= '~' and not ('{' or '}')))
                return new(null, text);
            // The error does not contain the token.
            return Problem<TriggerToken>(
                Child(map, "bearer")!,
                "this is not a valid bearer token",
                $"write `${{NAME}}` for the secret NAME, or {ShortestToken} or more visible ASCII characters"
            );
        }

        TriggerRate? ReadRate(YamlMappingNode map)
        {
            if (Text(map, "rate") is not { } text)
                return null;
            var match = RatePattern().Match(text);
            if (!match.Success || int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) is not (> 0 and var count))
                return Problem<TriggerRate>(Child(map, "rate")!, $"'{text}' is not a valid rate", "write `10/s`, `600/m` or `1000/h`");
            return new(
                count,
                match.Groups[2].Value switch
                {
                    "s" => TimeSpan.FromSeconds(1),
                    "m" => TimeSpan.FromMinutes(1),
                    _ => TimeSpan.FromHours(1),
                }
            );
        }

        IEnumerable<Trigger> ReadSource(YamlMappingNode map)
        {
            CheckKeys(map, "an event source", WorkflowKeys.Source, WorkflowKeys.TriggerElsewhere);
            if (Text(map, "uses") is not { Length: > 0 } uses)
                return [];
            string given = Text(map, "name") ?? SourceName(uses);
            if (!NamePattern().IsMatch(given))
            {
                Problem(
                    Child(map, "name") ?? Child(map, "uses")!,
                    $"'{given}' cannot be the name of an event source",
                    "write `name:` with 1 to 100 letters, digits, _ $ and -, not starting with a digit"
                );
                return [];
            }
            if (sources.Any(other => other.Name == given))
            {
                Problem(map, $"two event sources are named '{given}'", "give one of them another `name:`");
                return [];
            }
            if (ReadSourceCode(map, given, uses) is not { } code)
                return [];
            var source = new Source(code, facts.GetValueOrDefault(given));
            sources.Add(source);
            return source.Facts?.TriggersOf(given) ?? [];
        }

        Step? ReadSourceCode(YamlMappingNode map, string given, string uses)
        {
            if (uses.StartsWith("npm:", StringComparison.Ordinal))
                return ReadComponent(map, given, uses);
            return ResolveFile(map, given, uses, disabled: false, "sources") is { } file ? new(given, file, ReadProps(map), false) : null;
        }

        // ./rss/new-item.mjs is new-item.
        static string SourceName(string uses)
        {
            string file = Path.GetFileName(uses);
            return file.LastIndexOf('.') is > 0 and var end ? file[..end] : file;
        }

        Trigger? ReadSchedule(YamlMappingNode map)
        {
            CheckKeys(map, "a schedule", WorkflowKeys.Schedule, WorkflowKeys.TriggerElsewhere);
            var zone = ReadZone(map);
            string? cron = Text(map, "cron"),
                every = Text(map, "every");
            if ((cron is null) == (every is null))
                return Problem<Trigger>(map, "a schedule has either `cron` or `every`", "write `cron: \"*/5 * * * *\"` or `every: 15m`");
            return cron is not null ? ReadCron(Child(map, "cron")!, cron.Trim(), zone) : ReadEvery(Child(map, "every")!, every!, zone);
        }

        Trigger? ReadEmit(YamlMappingNode map)
        {
            CheckKeys(map, "an emit trigger", WorkflowKeys.Emit, WorkflowKeys.TriggerElsewhere);
            return Text(map, "workflow") is { Length: > 0 } workflow
                ? new EmitTrigger(workflow, Text(map, "channel"))
                : Problem<Trigger>(map, "an emit trigger needs the name of the `workflow` that it listens to", "write `workflow: orders`");
        }

        TimeZoneInfo ReadZone(YamlMappingNode map)
        {
            if (Text(map, "timezone") is not { } id)
                return TimeZoneInfo.Utc;
            if (TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone))
                return zone;
            Problem(Child(map, "timezone")!, $"there is no time zone '{id}'", "use an IANA name such as `Europe/Berlin`");
            return TimeZoneInfo.Utc;
        }

        Trigger? ReadCron(YamlNode node, string cron, TimeZoneInfo zone)
        {
            int fields = cron.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length;
            if (fields is 6 or 7 || cron.Equals("@every_second", StringComparison.OrdinalIgnoreCase))
                return Problem<Trigger>(
                    node,
                    $"'{cron}' has seconds, but a schedule can be due at most once a minute",
                    "write five fields: minute, hour, day, month, weekday"
                );
            ScheduleTrigger schedule;
            try
            {
                schedule = new(cron, zone);
            }
            catch (Exception x) when (x is CronFormatException or MissingSeedException)
            {
                return Problem<Trigger>(
                    node,
                    $"'{cron}' is not a valid cron expression: "
                        + $"{(x is MissingSeedException ? "H has no defined time" : Lower(x.Message.TrimEnd('.')))}",
                    "write five fields: minute, hour, day, month, weekday, such as `0 9 * * MON-FRI`"
                );
            }
            return schedule.NextAfter(DateTimeOffset.UnixEpoch) is null
                ? Problem<Trigger>(node, $"'{cron}' is never due", "choose a day that exists in that month")
                : schedule;
        }

        Trigger? ReadEvery(YamlNode node, string every, TimeZoneInfo zone)
        {
            var span = every.EndsWith('d') ? ParseDuration(every[..^1] + "h") * 24 : ParseDuration(every);
            if (span is not { } interval || interval.Ticks % TimeSpan.TicksPerSecond != 0)
                return Problem<Trigger>(node, $"'{every}' is not a valid interval", "write `15m`, `6h` or `1d`");
            if (interval < ScheduleTrigger.Shortest)
                return Problem<Trigger>(
                    node,
                    $"every {every} is too often; a schedule can be due at most once a minute",
                    "write `1m` or longer"
                );
            return interval > ScheduleTrigger.Longest
                ? Problem<Trigger>(node, $"every {every} is longer than a year", "use `cron`")
                : new ScheduleTrigger(interval, zone);
        }
    }
}
