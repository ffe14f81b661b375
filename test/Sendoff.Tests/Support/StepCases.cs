using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sendoff.Server.Api;
using YamlDotNet.RepresentationModel;

namespace Sendoff.Tests.Support;

/// <summary>Steps with their expected results, in YAML. The document must contain the values in the case; a list must have the same length;
/// a text that begins with ~ is a pattern.</summary>
static class StepCases
{
    static readonly JsonSerializerOptions plain = new(ApiJson.Default.Options);

    public static IEnumerable<JsonObject> Read(string folder)
    {
        foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, folder), "*.yaml").Order())
        {
            var yaml = new YamlStream();
            yaml.Load(new StringReader(File.ReadAllText(file)));
            foreach (var found in ((YamlSequenceNode)yaml.Documents[0].RootNode).Children)
                yield return (JsonObject)ToJson(found)!;
        }
    }

    static JsonNode? ToJson(YamlNode node) =>
        node switch
        {
            YamlMappingNode map => new JsonObject(
                map.Children.Select(pair => KeyValuePair.Create(((YamlScalarNode)pair.Key).Value!, ToJson(pair.Value)))
            ),
            YamlSequenceNode list => new JsonArray([.. list.Children.Select(ToJson)]),
            YamlScalarNode { Style: YamlDotNet.Core.ScalarStyle.Plain, Value: var text } => text switch
            {
                "null" or "" or null => null,
                "true" or "false" => JsonValue.Create(text == "true"),
                _ => double.TryParse(text, out double number) ? JsonValue.Create(number) : JsonValue.Create(text),
            },
            YamlScalarNode { Value: var text } => JsonValue.Create(text),
            _ => throw new NotSupportedException(),
        };

    public static void Compare(JsonNode? expected, JsonNode? actual, string path, List<string> differences)
    {
        if (expected is JsonObject fields)
        {
            if (actual is not JsonObject found)
                differences.Add($"{path} is {Text(actual)}");
            else if (fields.Count == 0 && path.EndsWith("exports", StringComparison.Ordinal) && found.Count > 0)
                differences.Add($"{path} is {Text(actual)}");
            else
                foreach (var (name, value) in fields)
                    Compare(value, found[name], $"{path}.{name}", differences);
        }
        else if (expected is JsonArray items)
        {
            if (actual is not JsonArray found || found.Count != items.Count)
                differences.Add($"{path} is {Text(actual)}");
            else
                for (int i = 0; i < items.Count; i++)
                    Compare(items[i], found[i], $"{path}[{i}]", differences);
        }
        else if (!Matches(expected, actual))
            differences.Add($"{path} is {Text(actual)}, not {Text(expected)}");
    }

    static bool Matches(JsonNode? expected, JsonNode? actual) =>
        expected?.GetValueKind() == JsonValueKind.String && actual?.GetValueKind() == JsonValueKind.String
            ? (string)expected! is ['~', .. var pattern]
                ? Regex.IsMatch((string)actual!, pattern)
                : (string)expected! == (string)actual!
            : expected?.GetValueKind() == JsonValueKind.Number && actual?.GetValueKind() == JsonValueKind.Number
                ? (double)expected == (double)actual
                : JsonNode.DeepEquals(expected, actual);

    static string Text(JsonNode? node) => node?.ToJsonString(plain) ?? "null";
}
