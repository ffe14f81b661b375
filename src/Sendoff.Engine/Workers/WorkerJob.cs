using System.Buffers;
using System.Text;
using System.Text.Json;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Engine.Workers;

/// <summary>What a worker says at a run's end.</summary>
internal readonly record struct RunEndMessage(bool Succeeded, string? Message, double DurationMs, double IdleMs, bool Tainted);

/// <summary>One run on its way: waiting, handed to a worker, executing, done. Gathers what the worker reports and checks every word of it.</summary>
internal sealed class WorkerJob(ProgramQueue queue, WorkerRun run, long sequence, EngineLimits limits)
{
    const int LineOverhead = 16, LongestWarning = 16 * 1024;
    static readonly byte[] Nothing = "{}"u8.ToArray();

    readonly TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StepRecord[] steps = [];
    int logBytes, exportBytes;
    bool sendsOutOfOrder, sawRun;

    public ProgramQueue Queue => queue;
    public WorkerRun Run => run;
    /// <summary>Its place in the order of arrival.</summary>
    public long Sequence => sequence;
    /// <summary>Its number in the worker that has it.</summary>
    public int Number { get; set; }
    public Worker? Worker { get; set; }
    /// <summary>Timestamp of when that worker was given it.</summary>
    public long HandedAt { get; set; }
    /// <summary>Set when its caller has given it up.</summary>
    public CancellationToken? CancelToken { get; set; }
    /// <summary>How often a worker gave it back when its turn had come.</summary>
    public int GivenBack { get; set; }
    public Task Done => done.Task;

    public void Complete() => done.TrySetResult();
    public void Fail(Exception e) => done.TrySetException(e);
    public void Cancel(CancellationToken ct) => done.TrySetCanceled(ct);

    /// <summary>The worker begins it, as far as the server can know.</summary>
    public void Begin(DateTimeOffset at)
    {
        run.StartedAt = at;
        steps = new StepRecord[queue.Program.Steps.Count];
    }

    /// <summary>The worker has said something about it, so that it has started.</summary>
    public bool Heard { get; private set; }

    /// <summary>Takes in one message about this run.</summary>
    public void Accept(FrameKind kind, Span<byte> payload, TextCache known)
    {
        Heard = true;
        sawRun = false;
        switch (kind)
        {
            case FrameKind.Send: OnSend(payload, known); break;
            case FrameKind.Log: OnLog(payload, known); break;
            case FrameKind.Export: OnExport(payload); break;
            case FrameKind.Warning: OnWarning(payload, known); break;
            case FrameKind.Respond: OnRespond(payload, known); break;
            case FrameKind.StepEnd: OnStepEnd(payload); break;
            default: throw new WorkerProtocolException($"a frame of kind {(byte)kind}, which workers do not write");
        }
    }

    /// <summary>Reads the fields that say whom a message is about.</summary>
    bool Common(ref MessageReader message, ref int step)
    {
        if (message.Is("run"u8))
        {
            message.Int(Number, Number);
            sawRun = true;
            return true;
        }
        if (!message.Is("step"u8)) return false;
        step = message.Int(0, steps.Length - 1);
        return true;
    }

    void RequireRun()
    {
        if (!sawRun) throw new WorkerProtocolException("a message that does not name its run");
    }

    void RequireStep(int step)
    {
        RequireRun();
        if (step < 0) throw new WorkerProtocolException("a message that does not name its step");
    }

    void OnSend(Span<byte> payload, TextCache known)
    {
        var (headStart, bodyStart) = WorkerFrame.SplitBody(payload);
        var body = payload[bodyStart..];
        var message = new MessageReader(payload[headStart..bodyStart]);
        int step = -1, index = -1;
        string? method = null, url = null;
        List<Header>? headers = null;
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("index"u8)) index = message.Int(0, int.MaxValue);
            else if (message.Is("method"u8)) method = message.KnownText(known);
            else if (message.Is("url"u8)) url = message.KnownText(known);
            else if (message.Is("headers"u8)) headers = Headers(ref message, known);
            else message.Skip();
        }

        RequireStep(step);
        // A9: the worker refuses what is over a limit, so that a frame over it is forged.
        if (body.Length > limits.SendBodyBytes) throw new WorkerProtocolException($"a send's body of {body.Length:N0} bytes");
        if (run.Sends.Count >= limits.SendsPerRun) throw new WorkerProtocolException($"more than {limits.SendsPerRun:N0} sends");
        if (index < 0 || index >= limits.SendsPerRun || !steps[step].TakeSend(index)) throw new WorkerProtocolException($"send {index} of step {step}, where another is due");
        if (method is null || !HttpText.IsToken(method)) throw new WorkerProtocolException("a send whose method is no HTTP token");
        if (url is null || !known.IsUrl(url)) throw new WorkerProtocolException("a send whose URL is not an absolute http or https one");
        sendsOutOfOrder |= steps[step].NextSend != index + 1;
        run.Sends.Add(new(step, index, new(method, url, headers ?? [], body.ToArray())));
    }

    static List<Header> Headers(ref MessageReader message, TextCache known)
    {
        var headers = new List<Header>();
        message.Array();
        while (message.NextElement())
        {
            var (name, value) = message.Pair(known);
            if (!HttpText.IsToken(name)) throw new WorkerProtocolException("a header whose name is no HTTP token");
            if (!HttpText.IsHeaderValue(value)) throw new WorkerProtocolException($"a character in header {name} that no header may hold");
            headers.Add(new(name, value));
        }
        return headers;
    }

    void OnLog(Span<byte> payload, TextCache known)
    {
        int step = -1;
        string level = "log", text = "";
        double at = 0;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("level"u8)) level = message.KnownText(known);
            else if (message.Is("text"u8)) text = message.Text();
            else if (message.Is("at"u8)) at = message.Milliseconds();
            else message.Skip();
        }
        RequireStep(step);
        if (level is not ("log" or "info" or "warn" or "error" or "debug")) throw new WorkerProtocolException("a log line of an unknown level");

        if (logBytes > limits.RunLogBytes) return;
        logBytes += LineOverhead + Encoding.UTF8.GetByteCount(text);
        if (logBytes > limits.RunLogBytes)
        {
            level = "warn";
            text = $"the run's console output is over the limit of {limits.RunLogBytes:N0} bytes (setting Runs:MaxLogBytes): the rest was dropped";
        }
        (steps[step].Logs ??= []).Add(new(level, text, Time(at)));
    }

    static DateTimeOffset Time(double ms) =>
        DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Min(ms, 253_402_300_799_999));

    void OnExport(Span<byte> payload)
    {
        int step = -1;
        string? name = null;
        ReadOnlySpan<byte> value = default;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("name"u8)) name = message.Text();
            else if (message.Is("value"u8)) value = message.Raw();
            else message.Skip();
        }
        RequireStep(step);
        if (name is null || value.IsEmpty) throw new WorkerProtocolException("an export without its name or value");
        AddExportBytes(name.Length + value.Length);
        (steps[step].Named ??= [])[name] = value.ToArray();
    }

    void AddExportBytes(int bytes)
    {
        exportBytes += bytes;
        if (exportBytes > limits.RunExportBytes)
            throw new WorkerLimitException($"the run's exports are over the limit of {limits.RunExportBytes:N0} bytes (setting Runs:MaxExportBytes)");
    }

    void OnWarning(Span<byte> payload, TextCache known)
    {
        const int mostPerStep = 1_000;
        int step = -1;
        string code = "", text = "";
        int? line = null, column = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("code"u8)) code = message.KnownText(known);
            else if (message.Is("message"u8)) text = message.Text();
            else if (message.Is("line"u8)) line = message.OptionalInt();
            else if (message.Is("column"u8)) column = message.OptionalInt();
            else message.Skip();
        }
        RequireStep(step);
        var warnings = steps[step].Warnings ??= [];
        if (warnings.Count < mostPerStep && text.Length <= LongestWarning) warnings.Add(new(code, text, line, column));
    }

    void OnRespond(Span<byte> payload, TextCache known)
    {
        var (headStart, bodyStart) = WorkerFrame.SplitBody(payload);
        var message = new MessageReader(payload[headStart..bodyStart]);
        int step = -1, status = 0;
        bool immediate = false;
        List<Header>? headers = null;
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("status"u8)) status = message.Int(200, 599);
            else if (message.Is("immediate"u8)) immediate = message.Bool();
            else if (message.Is("headers"u8)) headers = Headers(ref message, known);
            else message.Skip();
        }
        RequireRun();
        if (status == 0) throw new WorkerProtocolException("a response without a status");
        // The first one counts; what follows cannot take back what may be on the wire.
        if (run.Response is not null) return;
        run.Response = new(status, headers ?? [], payload[bodyStart..].ToArray());
        if (immediate) run.OnImmediateResponse?.Invoke(run.Response);
    }

    void OnStepEnd(Span<byte> payload)
    {
        int step = -1;
        StepStatus? status = null;
        double durationMs = 0;
        ReadOnlySpan<byte> exports = default, inputs = default;
        StepError? error = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("status"u8)) status = message.Text() switch
            {
                "succeeded" => StepStatus.Succeeded,
                "failed" => StepStatus.Failed,
                "skipped" => StepStatus.Skipped,
                _ => throw new WorkerProtocolException("a step with an unknown status"),
            };
            else if (message.Is("durationMs"u8)) durationMs = message.Milliseconds();
            else if (message.Is("exports"u8)) exports = message.RawObject();
            else if (message.Is("inputs"u8)) inputs = message.RawObject();
            else if (message.Is("error"u8)) error = Error(ref message);
            else message.Skip();
        }
        RequireStep(step);
        if (status is null) throw new WorkerProtocolException("a step's end without its status");
        if (steps[step].Status is not null) throw new WorkerProtocolException($"a second end of step {step}");
        AddExportBytes(exports.Length + inputs.Length);

        ref var record = ref steps[step];
        record.Status = status;
        record.DurationMs = durationMs;
        record.Exports = exports.Length <= 2 ? null : exports.ToArray();
        record.Inputs = inputs.Length <= 2 ? null : inputs.ToArray();
        record.Error = error;
    }

    static StepError? Error(ref MessageReader message)
    {
        if (!message.OptionalObject()) return null;
        string name = "Error", text = "";
        string? code = null, stack = null;
        int? line = null, column = null;
        while (message.NextField())
        {
            if (message.Is("name"u8)) name = message.Text();
            else if (message.Is("message"u8)) text = message.Text();
            else if (message.Is("code"u8)) code = message.OptionalText();
            else if (message.Is("stack"u8)) stack = message.OptionalText();
            else if (message.Is("line"u8)) line = message.OptionalInt();
            else if (message.Is("column"u8)) column = message.OptionalInt();
            else message.Skip();
        }
        return new(name, text, code, stack, line, column);
    }

    public RunEndMessage ReadEnd(Span<byte> payload)
    {
        sawRun = false;
        int step = -1;
        bool? succeeded = null;
        bool tainted = false;
        string? text = null;
        double durationMs = 0, idleMs = 0;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step)) continue;
            if (message.Is("status"u8)) succeeded = message.Text() switch
            {
                "succeeded" => true,
                "failed" => false,
                _ => throw new WorkerProtocolException("a run with an unknown status"),
            };
            else if (message.Is("message"u8)) text = message.OptionalText();
            else if (message.Is("durationMs"u8)) durationMs = message.Milliseconds();
            else if (message.Is("idleMs"u8)) idleMs = message.Milliseconds();
            else if (message.Is("tainted"u8)) tainted = message.Bool();
            else message.Skip();
        }
        RequireRun();
        return new(succeeded ?? throw new WorkerProtocolException("a run's end without a status"), text, durationMs, idleMs, tainted);
    }

    /// <summary>Fills in the run when the worker brought it to its end itself.</summary>
    public void Finish(in RunEndMessage end, TimeSpan mostCompute)
    {
        var compute = TimeSpan.FromMilliseconds(end.DurationMs);
        run.Compute = compute < mostCompute ? compute : mostCompute;
        run.End = end.Succeeded ? WorkerEnd.Succeeded : WorkerEnd.Failed;
        run.Message = end.Message;
        Seal();
    }

    /// <summary>Fills in the run when it was cut off. The step that executed gets <paramref name="error"/>, later ones are skipped (B2).</summary>
    public void CutOff(WorkerEnd end, StepError error, TimeSpan compute)
    {
        run.End = end;
        run.Message = error.Message;
        run.Compute = compute;
        double spentMs = 0;
        for (int i = 0; i < steps.Length; i++)
        {
            ref var step = ref steps[i];
            spentMs += step.DurationMs;
            if (step.Status is not null || queue.Program.Steps[i].Disabled) continue;
            step.Status = end == WorkerEnd.TimedOut ? StepStatus.TimedOut : StepStatus.Failed;
            step.DurationMs = Math.Max(0, compute.TotalMilliseconds - spentMs);
            step.Error = error;
            break;
        }
        Seal();
    }

    /// <summary>Fills in the run when its program does not load: the problem is the step's error.</summary>
    public void Refuse(StepProblem problem, DateTimeOffset at)
    {
        Begin(at);
        run.End = WorkerEnd.Failed;
        run.Message = problem.Message;
        int step = Math.Max(0, queue.Program.Steps.ToList().FindIndex(s => s.Name == problem.Step));
        if (step < steps.Length)
        {
            steps[step].Status = StepStatus.Failed;
            steps[step].Error = new(problem.Name, problem.Message, "SENDOFF_LOAD", null, problem.Line, problem.Column);
        }
        run.Steps = Results();
    }

    void Seal()
    {
        if (sendsOutOfOrder) run.Sends.Sort((a, b) => a.Step != b.Step ? a.Step.CompareTo(b.Step) : a.Index.CompareTo(b.Index));
        run.Steps = Results();
    }

    StepResult[] Results()
    {
        var results = new StepResult[steps.Length];
        for (int i = 0; i < steps.Length; i++)
        {
            ref var step = ref steps[i];
            results[i] = new(
                queue.Program.Steps[i].Name, i, step.Status ?? StepStatus.Skipped, step.DurationMs, step.AllExports() ?? Nothing, step.Inputs ?? Nothing,
                step.Logs ?? (IReadOnlyList<LogLine>)[], step.Warnings ?? (IReadOnlyList<StepWarning>)[], step.Error);
        }
        return results;
    }

    struct StepRecord
    {
        public StepStatus? Status;
        public double DurationMs;
        /// <summary>The next send's index, and those before it that are still to come: a body made of Blobs is read after later sends are made.</summary>
        public int NextSend;
        public HashSet<int>? Skipped;
        /// <summary>JSON object from the step's end; null is empty.</summary>
        public byte[]? Exports, Inputs;
        /// <summary>Values of <c>export</c> frames as JSON; the last of a name counts.</summary>
        public Dictionary<string, byte[]>? Named;
        public List<LogLine>? Logs;
        public List<StepWarning>? Warnings;
        public StepError? Error;

        public bool TakeSend(int index)
        {
            if (index < NextSend) return Skipped?.Remove(index) == true;
            while (NextSend < index) (Skipped ??= []).Add(NextSend++);
            NextSend++;
            return true;
        }

        public readonly byte[]? AllExports()
        {
            if (Named is null) return Exports;
            var output = new ArrayBufferWriter<byte>();
            using var json = new Utf8JsonWriter(output, new JsonWriterOptions { MaxDepth = MessageReader.MaxDepth, SkipValidation = true });
            json.WriteStartObject();
            // The step's end reports what no export frame has; should a name be in both, the end's value is the later one.
            var atEnd = new Dictionary<string, byte[]>();
            if (Exports is not null)
            {
                var fields = new MessageReader(Exports);
                while (fields.NextField())
                {
                    string name = fields.FieldName();
                    atEnd[name] = fields.Raw().ToArray();
                }
            }
            foreach (var (name, value) in Named) if (!atEnd.ContainsKey(name)) Write(json, name, value);
            foreach (var (name, value) in atEnd) Write(json, name, value);
            json.WriteEndObject();
            json.Flush();
            return output.WrittenSpan.ToArray();
        }

        static void Write(Utf8JsonWriter json, string name, byte[] value)
        {
            json.WritePropertyName(name);
            json.WriteRawValue(value, skipInputValidation: true);
        }
    }
}
