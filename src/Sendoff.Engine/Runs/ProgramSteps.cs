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

    static string? ShapeOf(Step step, IReadOnlyDictionary<string, string> files) =>
        StepShapes.Of(step.File, files) switch
        {
            StepShape.Imports => "imports",
            StepShape.Component => "component",
            StepShape.Module => "module",
            _ => null,
        };
}
