namespace Sendoff.Engine.Workflows;

/// <summary>The rule for names of workflows: commands, API, pages and <c>workflow.yaml</c> use it.</summary>
public static class WorkflowName
{
    public const int MaxLength = 100;
    public const string Rule = "A name has 1 to 100 characters, no slash, no control character and no space at its ends.";

    public static bool IsValid(string name) =>
        name.Length is > 0 and <= MaxLength
        && name.Trim().Length == name.Length
        && !name.Any(static c => char.IsControl(c) || c is '/' or '\\');
}
