using System.Buffers;
using System.Text;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>The golden frames, which the harness's tests read too: every byte as docs/worker-protocol.md has it.</summary>
public sealed class WorkerFrameTests
{
    static readonly Dictionary<string, Golden> Frames = JsonSerializer
        .Deserialize<Golden[]>(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Workers", "golden-frames.json")),
            JsonSerializerOptions.Web
        )!
        .ToDictionary(golden => golden.Name);

    static readonly WorkerProgram Program = new(
        "k",
        "wf_1",
        "orders",
        3,
        "/srv/wf/3",
        [new("first", "first.js", JsonDocument.Parse("""{"a":[1,2]}""").RootElement, false), new("second", "second.mjs", null, true)],
        new Dictionary<string, string> { ["KEY"] = "välue" },
        256,
        null
    );

    [Fact]
    public void Load_adopt_run_and_revoke_are_written_to_the_byte()
    {
        var run = new WorkerRun
        {
            Id = "run_1",
            EventJson = Encoding.UTF8.GetBytes("""{"a":"ä"}"""),
            ReceivedAt = DateTimeOffset.Parse("2026-11-23T07:18:52.123Z"),
            Timeout = TimeSpan.FromSeconds(30),
        };

        Assert.Equal(Frames["load"].Frame, Written((output, json) => WorkerFrame.WriteLoad(output, json, Program, new())));
        Assert.Equal(Frames["run"].Frame, Written((output, json) => WorkerFrame.WriteRun(output, json, new(1, run, null))));
        Assert.Equal(Frames["run handed ahead"].Frame, Written((output, json) => WorkerFrame.WriteRun(output, json, new(2, run, 1250))));
        var flowing = Program with { Flow = new("https://a.example", new byte[] { 1, 2 }) };
        Assert.Equal(Frames["adopt"].Frame, Written((output, json) => WorkerFrame.WriteAdopt(output, json, flowing)));
        Assert.Equal(Frames["revoke"].Frame, Written((output, json) => WorkerFrame.WriteRevoke(output, json, [2, 3])));
    }

    [Fact]
    public void Load_tells_accounts_and_a_custom_response_where_there_are_any()
    {
        var program = Program with
        {
            Accounts = new Dictionary<string, IReadOnlyDictionary<string, string>>
            {
                ["slack"] = new Dictionary<string, string> { ["api_key"] = "k" },
            },
            CustomResponse = true,
        };

        string frame = Encoding.UTF8.GetString(
            Convert.FromHexString(Written((output, json) => WorkerFrame.WriteLoad(output, json, program, new())))
        );

        Assert.Contains("\"version\":3,\"customResponse\":true}", frame);
        Assert.Contains("\"accounts\":{\"slack\":{\"api_key\":\"k\"}},\"limits\"", frame);
    }

    [Fact]
    public void Answers_are_written_to_the_byte_and_a_call_is_read_to_the_field()
    {
        var value = Encoding.UTF8.GetBytes("""{"n":[1,null]}""");
        Assert.Equal(Frames["answer"].Frame, Written((output, json) => WorkerFrame.WriteAnswer(output, json, new(1, 7, value))));
        Assert.Equal(
            Frames["answer of undefined"].Frame,
            Written((output, json) => WorkerFrame.WriteAnswer(output, json, new(1, 8, default)))
        );
        Assert.Equal(
            Frames["answer that refuses"].Frame,
            Written((output, json) => WorkerFrame.WriteAnswer(output, json, new(1, 9, default, "SENDOFF_STORE_KEY", "no")))
        );

        var call = WorkerMessages.ReadCall(Convert.FromHexString(Frames["call"].Frame).AsSpan(5));
        Assert.Equal(
            (1, 7, "set", """{"store":"orders","key":"ä","value":{"n":[1,null]},"ttl":60}"""),
            (call.Run, call.Id, call.Method, Encoding.UTF8.GetString(call.Args))
        );
    }

    static string Written(Action<ArrayBufferWriter<byte>, Utf8JsonWriter> write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(output, new(output));
        return Convert.ToHexStringLower(output.WrittenSpan);
    }

    [Fact]
    public void Frames_of_a_worker_are_read_to_the_field()
    {
        var early = new List<RunResponse>();
        var run = new WorkerRun
        {
            Id = "run_1",
            EventJson = "{}"u8.ToArray(),
            ReceivedAt = default,
            Timeout = TimeSpan.FromSeconds(1),
            OnImmediateResponse = early.Add,
        };
        var job = new WorkerJob(new(null!, Program, 256), run, 1, new()) { Number = 1 };
        job.Begin(default);
        var known = new TextCache();
        RunEndMessage end = default;
        // All at once, as a busy worker's come.
        Span<byte> input = Frames
            .Values.Where(golden => golden.Kind is >= 20 and not 27)
            .SelectMany(golden => Convert.FromHexString(golden.Frame))
            .ToArray();
        while (WorkerFrame.TryRead(ref input, new EngineLimits().FrameBytes, out var kind, out var payload))
        {
            if (kind == FrameKind.RunEnd)
                end = job.ReadEnd(payload);
            else
                job.Accept(kind, payload, known);
        }
        job.Finish(end, TimeSpan.FromSeconds(1));

        Assert.True(input.IsEmpty);
        Assert.Equal(new RunEndMessage(false, "why", null, 2.5, 1.25, true), end);
        Assert.Equal((WorkerEnd.Failed, "why", 2.5), (run.End, run.Message, run.Compute.TotalMilliseconds));
        Assert.Equal([(0, 0), (0, 1)], run.Sends.Select(send => (send.Step, send.Index)));
        var send = run.Sends[0].Send;
        Assert.Equal(
            ("POST", "https://example.com/a?b=%C3%A4", """{"n":"ä"}"""),
            (send.Method, send.Url, Encoding.UTF8.GetString(send.Body.Span))
        );
        Assert.Equal([new Header("X-One", "1"), new Header("content-type", "application/json")], send.Headers);
        Assert.True(run.Sends[1].Send.Body.IsEmpty);
        var step = run.Steps[0];
        Assert.Equal(("first", StepStatus.Succeeded, 1.25), (step.Name, step.Status, step.DurationMs));
        Assert.Equal("""{"$summary":{"deep":[null,1.5]},"$return_value":7}""", Encoding.UTF8.GetString(step.Exports.Span));
        Assert.Equal("""{"a":[1,2]}""", Encoding.UTF8.GetString(step.Inputs.Span));
        Assert.Equal(new LogLine("warn", "two\nlines", DateTimeOffset.FromUnixTimeMilliseconds(1795418332123)), Assert.Single(step.Logs));
        Assert.Equal(new StepWarning("unfinished_work", "still pending", 3, null), Assert.Single(step.Warnings));
        Assert.Equal(new StepError("TypeError", "no", "E_NO", "TypeError: no", 4, 2), run.Steps[1].Error);
        Assert.Equal((202, "soon"), (run.Response!.Status, Encoding.UTF8.GetString(run.Response.Body.Span)));
        Assert.Same(run.Response, Assert.Single(early));
    }

    [Fact]
    public void Every_frame_is_its_kind_and_its_json()
    {
        foreach (var golden in Frames.Values)
        {
            byte[] bytes = Convert.FromHexString(golden.Frame);
            for (int cut = 0; cut < bytes.Length; cut++)
            {
                Span<byte> part = bytes.AsSpan(0, cut);
                Assert.False(WorkerFrame.TryRead(ref part, 1 << 20, out _, out _));
            }
            Span<byte> whole = bytes;
            Assert.True(WorkerFrame.TryRead(ref whole, 1 << 20, out var kind, out var payload));
            Assert.Equal(golden.Kind, (int)kind);
            var (start, end) = golden.Body is null ? (0, payload.Length) : WorkerFrame.SplitBody(payload);
            Assert.Equal(golden.Json, Encoding.UTF8.GetString(payload[start..end]));
            if (golden.Body is not null)
                Assert.Equal(golden.Body, Encoding.UTF8.GetString(payload[end..]));
        }
    }

    sealed record Golden(string Name, int Kind, string Json, string? Body, string Frame);
}
