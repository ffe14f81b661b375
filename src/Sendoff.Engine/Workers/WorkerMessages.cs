using System.Text.Json;

namespace Sendoff.Engine.Workers;

/// <summary>Messages of a worker that do not concern its executing run.</summary>
internal static class WorkerMessages
{
    /// <summary>The worker's clock in the ready frame, in ms.</summary>
    public static double ReadClock(Span<byte> payload)
    {
        double? clock = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (message.Is("clock"u8))
                clock = message.Milliseconds();
            else
                message.Skip();
        }
        return clock ?? throw new WorkerProtocolException("a ready frame without its clock");
    }

    public static List<int> ReadRuns(Span<byte> payload)
    {
        var runs = new List<int>();
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (!message.Is("runs"u8))
            {
                message.Skip();
                continue;
            }
            message.Array();
            while (message.NextElement())
                runs.Add(message.ElementInt());
        }
        return runs;
    }

    public static StepCall ReadCall(Span<byte> payload)
    {
        int run = -1,
            id = -1;
        string? method = null;
        byte[]? args = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (message.Is("run"u8))
                run = message.Int(1, int.MaxValue);
            else if (message.Is("id"u8))
                id = message.Int(0, int.MaxValue);
            else if (message.Is("method"u8))
                method = message.Text();
            else if (message.Is("args"u8))
                args = message.RawObject().ToArray();
            else
                message.Skip();
        }
        if (run < 0 || id < 0 || method is null || args is null)
            throw new WorkerProtocolException("a call without its run, id, method or arguments");
        return new(run, id, method, args);
    }

    /// <param name="isTrial">Only a trial needs the steps' props.</param>
    public static ProgramCheck ReadLoaded(Span<byte> payload, IReadOnlyList<ProgramStep> steps, bool isTrial)
    {
        var problems = new List<StepProblem>();
        var warnings = new List<StepProblem>();
        var props = new List<JsonElement?>();
        JsonElement? source = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (message.Is("problems"u8))
                ReadProblems(ref message, steps, problems);
            else if (isTrial && message.Is("warnings"u8))
                ReadProblems(ref message, steps, warnings);
            else if (isTrial && message.Is("steps"u8))
            {
                message.Array();
                while (message.NextElement())
                    props.Add(ReadProps(ref message, ref source));
            }
            else
                message.Skip();
        }
        return new(problems, props) { Warnings = warnings, Source = source };
    }

    static void ReadProblems(ref MessageReader message, IReadOnlyList<ProgramStep> steps, List<StepProblem> into)
    {
        message.Array();
        while (message.NextElement())
            into.Add(ReadProblem(ref message, steps));
    }

    static JsonElement? ReadProps(ref MessageReader message, ref JsonElement? source)
    {
        message.Object();
        JsonElement? props = null;
        while (message.NextField())
        {
            if (message.Is("props"u8))
                props = JsonElement.Parse(message.Raw());
            else if (message.Is("source"u8))
                source = JsonElement.Parse(message.Raw());
            else
                message.Skip();
        }
        return props;
    }

    static StepProblem ReadProblem(ref MessageReader message, IReadOnlyList<ProgramStep> steps)
    {
        message.Object();
        int step = 0;
        string file = "",
            name = "Error",
            text = "";
        string? source = null;
        int? line = null,
            column = null;
        while (message.NextField())
        {
            if (message.Is("step"u8))
                step = message.Int(0, steps.Count - 1);
            else if (message.Is("file"u8))
                file = message.Text();
            else if (message.Is("name"u8))
                name = message.Text();
            else if (message.Is("message"u8))
                text = message.Text();
            else if (message.Is("line"u8))
                line = message.OptionalInt();
            else if (message.Is("column"u8))
                column = message.OptionalInt();
            else if (message.Is("source"u8))
                source = message.OptionalText();
            else
                message.Skip();
        }
        return new(steps[step].Name, file, name, text, line, column, source);
    }
}
