using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Sendoff.Engine.Workers;

/// <summary>The kinds of frames (docs/worker-protocol.md).</summary>
internal enum FrameKind : byte
{
    Load = 1,
    Run = 2,
    Revoke = 3,
    Answer = 4,
    Adopt = 5,
    Ready = 16,
    Loaded = 17,
    Revoked = 18,
    Expired = 19,
    Send = 20,
    Log = 21,
    Export = 22,
    Warning = 23,
    Respond = 24,
    StepEnd = 25,
    RunEnd = 26,
    Call = 27,
    Keep = 28,
}

/// <summary>The worker violated the protocol. It is killed, and its run fails.</summary>
internal sealed class WorkerProtocolException(string message) : Exception(message);

/// <summary>The run exceeded a limit that only the server checks. Its worker is killed.</summary>
internal sealed class WorkerLimitException(string message) : Exception(message);

/// <summary>A run as sent to a worker.</summary>
/// <param name="StartBy">Time on the worker's clock in ms after which it must not be started; null for a run that starts
/// immediately.</param>
internal readonly record struct RunFrame(int Number, WorkerRun Run, long? StartBy);

/// <summary>Writes the server's frames and splits what a worker wrote: <c>u32 length | u8 kind | payload</c>.</summary>
internal static class WorkerFrame
{
    const int LengthBytes = 4;

    public static void WriteLoad(ArrayBufferWriter<byte> output, Utf8JsonWriter json, WorkerProgram program, EngineLimits limits)
    {
        int start = Open(output, json, FrameKind.Load);
        json.WriteStartObject();
        WriteWorkflow(json, program);
        json.WriteString("root"u8, program.Root);
        json.WriteStartArray("steps"u8);
        foreach (var step in program.Steps)
        {
            json.WriteStartObject();
            json.WriteString("name"u8, step.Name);
            json.WriteString("file"u8, step.File);
            if (step.Shape is not null)
                json.WriteString("shape"u8, step.Shape);
            if (step.Props is { } props)
            {
                json.WritePropertyName("props"u8);
                props.WriteTo(json);
            }
            if (step.Disabled)
                json.WriteBoolean("disabled"u8, true);
            if (program.Source is not null)
                json.WriteBoolean("source"u8, true);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteStartObject("env"u8);
        foreach (var (name, value) in program.Environment)
            json.WriteString(name, value);
        json.WriteEndObject();
        if (program.Accounts.Count > 0)
            WriteAccounts(json, program.Accounts);
        if (program.AsksAccounts)
            json.WriteBoolean("asksAccounts"u8, true);
        json.WriteStartObject("limits"u8);
        json.WriteNumber("sends"u8, limits.SendsPerRun);
        json.WriteNumber("bodyBytes"u8, limits.SendBodyBytes);
        json.WriteNumber("urlBytes"u8, limits.SendUrlBytes);
        json.WriteNumber("headerBytes"u8, limits.SendHeaderBytes);
        json.WriteNumber("sendBytes"u8, limits.SendBytesPerRun);
        json.WriteNumber("logBytes"u8, limits.RunLogBytes);
        json.WriteNumber("valueBytes"u8, limits.RunExportBytes);
        if (limits.EmailAllowTo.Count > 0)
            json.WriteBoolean("emailTo"u8, true);
        json.WriteEndObject();
        json.WriteEndObject();
        Close(output, json, start);
    }

    /// <summary>Writes the fields that differ between programs with the same content.</summary>
    static void WriteWorkflow(Utf8JsonWriter json, WorkerProgram program)
    {
        json.WriteStartObject("workflow"u8);
        json.WriteString("id"u8, program.WorkflowId);
        json.WriteString("name"u8, program.Name);
        json.WriteNumber("version"u8, program.Version);
        if (program.CustomResponse)
            json.WriteBoolean("customResponse"u8, true);
        if (program.Source?.Endpoint is { } endpoint)
            json.WriteString("endpoint"u8, endpoint);
        json.WriteEndObject();
        if (program.Flow is not { } flow)
            return;
        json.WriteStartObject("flow"u8);
        json.WriteString("origin"u8, flow.Origin);
        json.WriteBase64String("key"u8, flow.Key.Span);
        json.WriteEndObject();
    }

    public static void WriteAdopt(ArrayBufferWriter<byte> output, Utf8JsonWriter json, WorkerProgram program)
    {
        int start = Open(output, json, FrameKind.Adopt);
        json.WriteStartObject();
        WriteWorkflow(json, program);
        json.WriteEndObject();
        Close(output, json, start);
    }

    static void WriteAccounts(Utf8JsonWriter json, IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> accounts)
    {
        json.WriteStartObject("accounts"u8);
        foreach (var (app, fields) in accounts)
        {
            json.WriteStartObject(app);
            foreach (var (field, value) in fields)
                json.WriteString(field, value);
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    public static void WriteRun(ArrayBufferWriter<byte> output, Utf8JsonWriter json, in RunFrame frame)
    {
        var run = frame.Run;
        int start = Open(output, json, FrameKind.Run);
        json.WriteStartObject();
        json.WriteNumber("run"u8, frame.Number);
        json.WriteString("id"u8, run.Id);
        Span<byte> ts = stackalloc byte[24];
        run.ReceivedAt.UtcDateTime.TryFormat(ts, out int tsBytes, "yyyy-MM-ddTHH:mm:ss.fffZ");
        json.WriteString("ts"u8, ts[..tsBytes]);
        json.WriteNumber("deadlineMs"u8, (long)run.Timeout.TotalMilliseconds);
        if (frame.StartBy is { } startBy)
            json.WriteNumber("startBy"u8, startBy);
        json.WriteBoolean("replay"u8, run.Replay);
        if (run.Resume is { } resume)
        {
            json.WritePropertyName("resume"u8);
            // valid JSON: written by the server from the JSON of workers and triggers
            json.WriteRawValue(resume.Json.Span, skipInputValidation: true);
        }
        if (run.Hook is { } hook)
            json.WriteString("hook"u8, hook);
        if (!run.EventRaw.IsEmpty)
            json.WriteBase64String("raw"u8, run.EventRaw.Span);
        json.WritePropertyName("event"u8);
        json.WriteRawValue(run.EventJson.Span, skipInputValidation: true); // it was validated when it was accepted
        json.WriteEndObject();
        Close(output, json, start);
    }

    public static void WriteRevoke(ArrayBufferWriter<byte> output, Utf8JsonWriter json, IReadOnlyList<int> runs)
    {
        int start = Open(output, json, FrameKind.Revoke);
        json.WriteStartObject();
        json.WriteStartArray("runs"u8);
        foreach (int run in runs)
            json.WriteNumberValue(run);
        json.WriteEndArray();
        json.WriteEndObject();
        Close(output, json, start);
    }

    public static void WriteAnswer(ArrayBufferWriter<byte> output, Utf8JsonWriter json, StepAnswer answer)
    {
        int start = Open(output, json, FrameKind.Answer);
        json.WriteStartObject();
        json.WriteNumber("run"u8, answer.Run);
        json.WriteNumber("id"u8, answer.Id);
        if (answer.Code is not null)
        {
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, answer.Code);
            json.WriteString("message"u8, answer.Message);
            json.WriteEndObject();
        }
        else if (!answer.Value.IsEmpty)
        {
            json.WritePropertyName("value"u8);
            json.WriteRawValue(answer.Value.Span, skipInputValidation: true);
        }
        json.WriteEndObject();
        Close(output, json, start);
    }

    /// <summary>Reads the next complete frame from <paramref name="input"/>. Returns false if more bytes are needed.</summary>
    public static bool TryRead(ref Span<byte> input, int maxBytes, out FrameKind kind, out Span<byte> payload)
    {
        kind = default;
        payload = default;
        if (input.Length < LengthBytes)
            return false;
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(input);
        if (length < 1 || length > maxBytes)
            throw new WorkerProtocolException($"a frame of {length:N0} bytes, where 1 to {maxBytes:N0} are allowed");
        if (input.Length - LengthBytes < length)
            return false;

        kind = (FrameKind)input[LengthBytes];
        payload = input.Slice(LengthBytes + 1, (int)length - 1);
        input = input[(LengthBytes + (int)length)..];
        return true;
    }

    /// <summary>Total size of the frame at the start of <paramref name="input"/>; 0 if it is not known yet.</summary>
    public static int WholeBytes(ReadOnlySpan<byte> input) =>
        input.Length < LengthBytes ? 0 : LengthBytes + (int)BinaryPrimitives.ReadUInt32LittleEndian(input);

    /// <summary>Splits the payload of a frame with a body into its JSON head and its body.</summary>
    public static (int HeadStart, int BodyStart) SplitBody(ReadOnlySpan<byte> payload)
    {
        if (payload.Length >= LengthBytes)
        {
            uint head = BinaryPrimitives.ReadUInt32LittleEndian(payload);
            if (head <= payload.Length - LengthBytes)
                return (LengthBytes, LengthBytes + (int)head);
        }
        throw new WorkerProtocolException("a frame whose head is longer than the frame");
    }

    static int Open(ArrayBufferWriter<byte> output, Utf8JsonWriter json, FrameKind kind)
    {
        int start = output.WrittenCount;
        var head = output.GetSpan(LengthBytes + 1);
        head[LengthBytes] = (byte)kind;
        output.Advance(LengthBytes + 1);
        json.Reset(output);
        return start;
    }

    static void Close(ArrayBufferWriter<byte> output, Utf8JsonWriter json, int start)
    {
        json.Flush();
        // The buffer is ours, so its written part can be changed in place.
        var written = MemoryMarshal.AsMemory(output.WrittenMemory);
        BinaryPrimitives.WriteUInt32LittleEndian(written.Span[start..], (uint)(output.WrittenCount - start - LengthBytes));
    }
}
