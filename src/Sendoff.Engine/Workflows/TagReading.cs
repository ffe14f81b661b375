using YamlDotNet.RepresentationModel;

namespace Sendoff.Engine.Workflows;

public static partial class WorkflowReader
{
    public const int MostTags = 20,
        LongestTag = 40;

    sealed partial class Reading
    {
        List<string> ReadTags(YamlMappingNode root)
        {
            if (Child(root, "tags") is not { } given)
                return [];
            const string hint = "write a list such as `tags: [billing, nightly]`";
            if (given is not YamlSequenceNode list || list.Children.Any(static tag => tag is not YamlScalarNode))
            {
                Problem(given, "`tags` is not a list of strings", hint);
                return [];
            }
            if (list.Children.Count > MostTags)
                Problem(given, $"there are {list.Children.Count} tags; the limit is {MostTags}", "remove some");
            foreach (var tag in list.Children)
                if (tag.ToString() is var text && (text.Trim().Length is 0 or > LongestTag || text.Any(char.IsControl)))
                    Problem(tag, $"'{text}' is not a valid tag", $"use 1 to {LongestTag} characters");
            return [.. list.Children.Select(static tag => tag.ToString().Trim()).Distinct(StringComparer.Ordinal)];
        }
    }
}
