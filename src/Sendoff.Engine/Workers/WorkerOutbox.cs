using System.Buffers;
using System.Net.Sockets;
using System.Text.Json;

namespace Sendoff.Engine.Workers;

/// <summary>The queued frames for one worker. A caller that flushes while no write is in progress becomes the writer, so that queued frames
/// are written together.</summary>
internal sealed class WorkerOutbox(Stream stream, WorkerRoom room, EngineLimits limits)
{
    const int FirstBuffer = 64 * 1024,
        KeptBuffer = 1024 * 1024,
        MostAtOnce = 64;

    readonly Lock gate = new();
    readonly Queue<OutFrame> waiting = new();
    readonly List<OutFrame> batch = [];
    ArrayBufferWriter<byte> output = new(FirstBuffer);
    Utf8JsonWriter? json;
    bool writing;
    volatile int lastWritten;

    /// <summary>The number of the last run whose frame was at least partly written. Later runs cannot have started.</summary>
    public int LastWritten => lastWritten;

    public void PostLoad(WorkerProgram program) => Post(new(Load: program));

    public void PostAdopt(WorkerProgram program) => Post(new(Adopt: program));

    public void PostRun(in RunFrame run) => Post(new(Run: run));

    public void PostRevoke(List<int> runs) => Post(new(Revoke: runs));

    public void PostAnswer(StepAnswer answer) => Post(new(Answer: answer));

    void Post(in OutFrame frame)
    {
        lock (gate)
            waiting.Enqueue(frame);
    }

    /// <summary>Writes the queued frames, unless a write is in progress. Call it without the pool's lock.</summary>
    public void Flush()
    {
        lock (gate)
        {
            if (writing || waiting.Count == 0)
                return;
            writing = true;
        }
        _ = WriteAsync();
    }

    async Task WriteAsync()
    {
        while (TakeBatch())
        {
            json ??= new(output, new JsonWriterOptions { SkipValidation = true, MaxDepth = MessageReader.MaxDepth });
            foreach (var frame in batch)
                Write(frame, json);
            try
            {
                await stream.WriteAsync(output.WrittenMemory);
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
            {
                return; // the reading side sees the end
            }
            if (output.Capacity <= KeptBuffer)
                output.ResetWrittenCount();
            else
                output = new(FirstBuffer);
        }
    }

    bool TakeBatch()
    {
        batch.Clear();
        lock (gate)
        {
            while (batch.Count < MostAtOnce && waiting.TryDequeue(out var frame))
                batch.Add(frame);
            return writing = batch.Count > 0;
        }
    }

    void Write(in OutFrame frame, Utf8JsonWriter json)
    {
        if (frame.Run is { } run)
        {
            WorkerFrame.WriteRun(output, json, run);
            lastWritten = run.Number;
        }
        else if (frame.Revoke is { } runs)
            WorkerFrame.WriteRevoke(output, json, runs);
        else if (frame.Answer is { } answer)
            WorkerFrame.WriteAnswer(output, json, answer);
        else if (frame.Adopt is { } program)
            WorkerFrame.WriteAdopt(output, json, program);
        else
            // here, because the caller of Post holds the pool's lock
            WorkerFrame.WriteLoad(output, json, frame.Load! with { Root = room.Lay(frame.Load.Root) }, limits);
    }

    /// <summary>Only one of the fields is set.</summary>
    readonly record struct OutFrame(
        WorkerProgram? Load = null,
        WorkerProgram? Adopt = null,
        RunFrame? Run = null,
        List<int>? Revoke = null,
        StepAnswer? Answer = null
    );
}
