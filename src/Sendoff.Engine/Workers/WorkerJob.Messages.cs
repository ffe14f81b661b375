using System.Text;
using System.Text.Json;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Engine.Workers;

/// <remarks>Messages of a worker about its executing run.</remarks>
internal sealed partial class WorkerJob
{
    const int LineOverhead = 16,
        LongestWarning = 16 * 1024,
        MostWarnings = 1_000;

    /// <summary>Processes one message about this run.</summary>
    public void Accept(FrameKind kind, Span<byte> payload, TextCache known)
    {
        Heard = true;
        sawRun = false;
        switch (kind)
        {
            case FrameKind.Send:
                OnSend(payload, known);
                break;
            case FrameKind.Log:
                OnLog(payload, known);
                break;
            case FrameKind.Export:
                OnExport(payload);
                break;
            case FrameKind.Warning:
                OnWarning(payload, known);
                break;
            case FrameKind.Respond:
                OnRespond(payload, known);
                break;
            case FrameKind.StepEnd:
                OnStepEnd(payload);
                break;
            case FrameKind.Keep:
                OnKeep(payload);
                break;
            default:
                throw new WorkerProtocolException($"a frame of kind {(byte)kind}, which workers must not send");
        }
    }

    /// <summary>Reads the run and step of a message.</summary>
    bool Common(ref MessageReader message, ref int step)
    {
        if (message.Is("run"u8))
        {
            message.Int(Number, Number);
            sawRun = true;
            return true;
        }
        if (!message.Is("step"u8))
            return false;
        step = message.Int(0, steps.Length - 1);
        return true;
    }

    void RequireRun()
    {
        if (!sawRun)
            throw new WorkerProtocolException("a message that does not name its run");
    }

    void RequireStep(int step)
    {
        RequireRun();
        if (step < 0)
            throw new WorkerProtocolException("a message that does not name its step");
    }

    /// <summary>Processes a send. An invalid send is refused with a warning, and other sends are not affected.</summary>
    void OnSend(Span<byte> payload, TextCache known)
    {
        int step = -1;
        string? fault;
        try
        {
            fault = TakeSend(payload, known, ref step);
        }
        catch (Exception e) when (e is WorkerProtocolException or JsonException)
        {
            fault = e.Message;
        }
        if (fault is not null)
            Warn(step, new("send_refused", $"a send that the step wrote directly to its worker's socket was refused: {fault}", null, null));
    }

    string? TakeSend(Span<byte> payload, TextCache known, ref int step)
    {
        var (headStart, bodyStart) = WorkerFrame.SplitBody(payload);
        var body = payload[bodyStart..];
        var message = new MessageReader(payload[headStart..bodyStart]);
        int index = -1;
        string? method = null,
            url = null;
        List<Header>? headers = null;
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("index"u8))
                index = message.Int(0, int.MaxValue);
            else if (message.Is("method"u8))
                method = message.KnownText(known);
            else if (message.Is("url"u8))
                url = message.KnownText(known);
            else if (message.Is("headers"u8))
                headers = Headers(ref message, known);
            else
                message.Skip();
        }

        RequireStep(step);
        if (index < 0 || method is null || url is null)
            return "a message without its index, method or URL";
        if (run.Sends.Count >= limits.SendsPerRun)
            return $"more than {limits.SendsPerRun:N0} sends in the run (setting Sends:MaxPerRun)";
        if (SendKinds.KindOf(url) == SendKind.Source && url != SourceEvents.UrlOf(queue.Program.Source?.Name))
            return "an event of a source that does not execute here";
        if (SendKinds.KindOf(url) != SendKind.Http)
            JsonSyntax.MendSurrogates(body);
        var send = new HttpSend(method, url, headers ?? [], body.ToArray());
        if (SendCheck.FaultOf(send, limits) is { } fault)
            return fault;
        if (sendBytes + send.Bytes > limits.SendBytesPerRun)
            return $"more than {limits.SendBytesPerRun:N0} bytes in all sends of the run (setting Sends:MaxBytesPerRun)";
        sendBytes += send.Bytes;
        int taken = steps[step].TakeSend(index, limits.SendsPerRun);
        sendsOutOfOrder |= steps[step].NextSend != taken + 1;
        run.Sends.Add(new(step, taken, send));
        return null;
    }

    static List<Header> Headers(ref MessageReader message, TextCache known)
    {
        var headers = new List<Header>();
        message.Array();
        while (message.NextElement())
        {
            var (name, value) = message.Pair(known);
            headers.Add(new(name, value));
        }
        return headers;
    }

    void OnLog(Span<byte> payload, TextCache known)
    {
        int step = -1;
        string level = "log",
            text = "";
        double at = 0;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("level"u8))
                level = message.KnownText(known);
            else if (message.Is("text"u8))
                text = message.Text();
            else if (message.Is("at"u8))
                at = message.Milliseconds();
            else
                message.Skip();
        }
        RequireStep(step);
        if (level is not ("log" or "info" or "warn" or "error" or "debug"))
            throw new WorkerProtocolException("a log line of an unknown level");

        if (logBytes > limits.RunLogBytes)
            return;
        logBytes += LineOverhead + Encoding.UTF8.GetByteCount(text);
        if (logBytes > limits.RunLogBytes)
        {
            level = "warn";
            text =
                $"the run's console output is over the limit of {limits.RunLogBytes:N0} bytes (setting Runs:MaxLogBytes): "
                + "the rest was dropped";
        }
        (steps[step].Logs ??= []).Add(new(level, text, Time(at)));
    }

    static DateTimeOffset Time(double ms) => DateTimeOffset.UnixEpoch.AddMilliseconds(Math.Min(ms, 253_402_300_799_999));

    void OnExport(Span<byte> payload)
    {
        int step = -1;
        string? name = null;
        ReadOnlySpan<byte> value = default;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("name"u8))
                name = message.Text();
            else if (message.Is("value"u8))
                value = message.Raw();
            else
                message.Skip();
        }
        RequireStep(step);
        if (name is null || value.IsEmpty)
            throw new WorkerProtocolException("an export without its name or value");
        AddExportBytes(name.Length + value.Length);
        (steps[step].Named ??= [])[name] = value.ToArray();
    }

    void OnKeep(Span<byte> payload)
    {
        int step = -1;
        string? key = null;
        ReadOnlySpan<byte> value = default;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("key"u8))
                key = message.Text();
            else if (message.Is("value"u8))
                value = message.Raw();
            else
                message.Skip();
        }
        RequireStep(step);
        if (key is null || queue.Program.Source is null)
            throw new WorkerProtocolException("a kept value without its key, or of a step that is no event source");
        AddExportBytes(key.Length + value.Length);
        run.Kept[key] = value.ToArray();
    }

    void AddExportBytes(int bytes)
    {
        exportBytes += bytes;
        if (exportBytes > limits.RunExportBytes)
            throw new WorkerLimitException(
                $"the run's exports are over the limit of {limits.RunExportBytes:N0} bytes (setting Runs:MaxExportBytes)"
            );
    }

    void OnWarning(Span<byte> payload, TextCache known)
    {
        int step = -1;
        string code = "",
            text = "";
        int? line = null,
            column = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("code"u8))
                code = message.KnownText(known);
            else if (message.Is("message"u8))
                text = message.Text();
            else if (message.Is("line"u8))
                line = message.OptionalInt();
            else if (message.Is("column"u8))
                column = message.OptionalInt();
            else
                message.Skip();
        }
        RequireStep(step);
        Warn(step, new(code, text, line, column));
    }

    /// <param name="step">-1 for the executing step.</param>
    void Warn(int step, StepWarning warning)
    {
        if (step < 0)
            step = Math.Max(0, Array.FindIndex(steps, static step => step.Status is null));
        var warnings = steps[step].Warnings ??= [];
        if (warnings.Count < MostWarnings && warning.Message.Length <= LongestWarning)
            warnings.Add(warning);
    }

    void OnRespond(Span<byte> payload, TextCache known)
    {
        var (headStart, bodyStart) = WorkerFrame.SplitBody(payload);
        var message = new MessageReader(payload[headStart..bodyStart]);
        int step = -1,
            status = 0;
        bool immediate = false;
        List<Header>? headers = null;
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("status"u8))
                status = message.Int(200, 599);
            else if (message.Is("immediate"u8))
                immediate = message.Bool();
            else if (message.Is("headers"u8))
                headers = Headers(ref message, known);
            else
                message.Skip();
        }
        RequireRun();
        if (status == 0)
            throw new WorkerProtocolException("a response without a status");
        if (headers is not null && SendCheck.FaultOfHeaders(headers, limits) is { } fault)
            throw new WorkerProtocolException(fault);
        // The first response is used; it may have been sent already.
        if (run.Response is not null)
            return;
        run.Response = new(status, headers ?? [], payload[bodyStart..].ToArray());
        if (immediate)
            run.OnImmediateResponse?.Invoke(run.Response);
    }

    void OnStepEnd(Span<byte> payload)
    {
        int step = -1;
        StepStatus? status = null;
        double durationMs = 0;
        ReadOnlySpan<byte> exports = default,
            inputs = default;
        StepError? error = null;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("status"u8))
                status = message.Text() switch
                {
                    "succeeded" => StepStatus.Succeeded,
                    "failed" => StepStatus.Failed,
                    "skipped" => StepStatus.Skipped,
                    _ => throw new WorkerProtocolException("a step with an unknown status"),
                };
            else if (message.Is("durationMs"u8))
                durationMs = message.Milliseconds();
            else if (message.Is("exports"u8))
                exports = message.RawObject();
            else if (message.Is("inputs"u8))
                inputs = message.RawObject();
            else if (message.Is("error"u8))
                error = Error(ref message);
            else
                message.Skip();
        }
        RequireStep(step);
        if (status is null)
            throw new WorkerProtocolException("a step's end without its status");
        if (steps[step].Status is not null)
            throw new WorkerProtocolException($"a second end of step {step}");
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
        if (!message.OptionalObject())
            return null;
        string name = "Error",
            text = "";
        string? code = null,
            stack = null;
        int? line = null,
            column = null;
        while (message.NextField())
        {
            if (message.Is("name"u8))
                name = message.Text();
            else if (message.Is("message"u8))
                text = message.Text();
            else if (message.Is("code"u8))
                code = message.OptionalText();
            else if (message.Is("stack"u8))
                stack = message.OptionalText();
            else if (message.Is("line"u8))
                line = message.OptionalInt();
            else if (message.Is("column"u8))
                column = message.OptionalInt();
            else
                message.Skip();
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
        RunHold? hold = null;
        double durationMs = 0,
            idleMs = 0;
        var message = new MessageReader(payload);
        while (message.NextField())
        {
            if (Common(ref message, ref step))
                continue;
            if (message.Is("status"u8))
                succeeded = message.Text() switch
                {
                    "succeeded" => true,
                    "failed" => false,
                    _ => throw new WorkerProtocolException("a run with an unknown status"),
                };
            else if (message.Is("message"u8))
                text = message.OptionalText();
            else if (message.Is("hold"u8))
                hold = Hold(ref message);
            else if (message.Is("durationMs"u8))
                durationMs = message.Milliseconds();
            else if (message.Is("idleMs"u8))
                idleMs = message.Milliseconds();
            else if (message.Is("tainted"u8))
                tainted = message.Bool();
            else
                message.Skip();
        }
        RequireRun();
        return new(succeeded ?? throw new WorkerProtocolException("a run's end without a status"), text, hold, durationMs, idleMs, tainted);
    }

    RunHold? Hold(ref MessageReader message)
    {
        if (!message.OptionalObject())
            return null;
        HoldKind? kind = null;
        int step = -1,
            runs = 0;
        double ms = 0;
        byte[] context = [];
        while (message.NextField())
        {
            if (message.Is("kind"u8))
                kind = message.Text() switch
                {
                    "suspend" => HoldKind.Suspend,
                    "delay" => HoldKind.Delay,
                    "rerun" => HoldKind.Rerun,
                    _ => throw new WorkerProtocolException("a suspension of an unknown kind"),
                };
            else if (message.Is("step"u8))
                step = message.Int(0, steps.Length - 1);
            else if (message.Is("runs"u8))
                runs = message.Int(1, int.MaxValue);
            else if (message.Is("ms"u8))
                ms = message.Milliseconds();
            else if (message.Is("context"u8))
                context = message.Raw().ToArray();
            else
                message.Skip();
        }
        if (kind is null || step < 0 || runs < 1 || ms > LongestHold.TotalMilliseconds || steps[step].Status != StepStatus.Succeeded)
            throw new WorkerProtocolException("a suspension without its step, or for longer than a year");
        AddExportBytes(context.Length);
        return new(kind.Value, step, TimeSpan.FromMilliseconds(ms), runs, context);
    }

    static readonly TimeSpan LongestHold = TimeSpan.FromDays(365);
}
