using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Runs;

/// <summary>A workflow's steps as sent to workers.</summary>
public static class ProgramSteps
{
    public static IReadOnlyList<ProgramStep> Of(WorkflowDefinition definition, IReadOnlyDictionary<string, string> files) =>
        [
            .. definition.Steps.Select(step => new ProgramStep(step.Name, step.File, step.Props, step.Disabled)
            {
                Shape = ShapeOf(step, files),
            }),
        ];

    /// <summary>Identifies what loading a workflow's files depends on; their lock names the packages.</summary>
    public static string ContentOf(string name, IReadOnlyDictionary<string, string> files, int secretsRevision)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (
            string text in files
                .OrderBy(static file => file.Key, StringComparer.Ordinal)
                .SelectMany(static file => (string[])[file.Key, file.Value])
                .Append(name)
        )
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }
        hash.AppendData(BitConverter.GetBytes(secretsRevision));
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    static string? ShapeOf(Step step, IReadOnlyDictionary<string, string> files) =>
        StepShapes.Of(step.File, files) switch
        {
            StepShape.Imports => "imports",
            StepShape.Component => "component",
            StepShape.Module => "module",
            _ => null,
        };
}
