using System.Text;
using System.Text.Json;
using CsCheck;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;
using Sendoff.Tests.Workers;

namespace Sendoff.Tests.Sends;

/// <summary>
/// Generated calls go the real way: Node.js with the harness, the worker protocol, the sender, a socket. What Kestrel parses is what the
/// model says was asked, or the call was refused as the model says (A2-A7). A failure prints the smallest case found and the seed (variable
/// CsCheck_Seed).
/// </summary>
public sealed class SendPropertyTests : IAsyncLifetime
{
    const int MostCasesOfRun = 60;

    readonly WorkerRig rig = new(new EngineLimits { SendUrlBytes = 1024 * 1024, SendHeaderBytes = 1024 * 1024 });
    readonly Sending sending = new();
    ParsingReceiver receiver = null!;
    WorkerProgram program = null!;
    int delivered,
        refused;

    public async ValueTask InitializeAsync()
    {
        receiver = await ParsingReceiver.StartAsync();
        program = rig.Program(SendStep.Code, memoryMb: 256);
    }

    public async ValueTask DisposeAsync()
    {
        sending.Dispose();
        await rig.DisposeAsync();
        await receiver.DisposeAsync();
    }

    /// <summary>About 3,000 calls in 100 runs; the variable CsCheck_Iter asks for more.</summary>
    [Fact]
    public async Task A_receiver_parses_what_was_asked_or_the_call_was_refused()
    {
        await SendCases
            .Of(receiver.Port)
            .Array[1, MostCasesOfRun]
            .SampleAsync(RunAsync, threads: 1, print: static cases => $"{cases.Length} calls in the run");
        TestContext.Current.SendDiagnosticMessage($"{delivered} delivered, {refused} refused");
        Assert.True(delivered > refused && refused > 0, $"the cases prove little: {delivered} delivered, {refused} refused");
    }

    async Task RunAsync(SendCase[] cases)
    {
        var run = await rig.RunAsync(program, $"{{\"cases\":[{string.Join(',', (object[])cases)}]}}");
        Assert.True(run.End == WorkerEnd.Succeeded, $"the run: {run.Message} {run.Steps[0].Error}");
        var thrown = run.Exports(0).GetProperty("$return_value");
        var warnings = run.Steps[0]
            .Warnings.Where(static warning => warning.Code == "ignored_header")
            .Select(static warning => warning.Message)
            .ToList();
        int sent = 0;
        for (int i = 0; i < cases.Length; i++)
        {
            try
            {
                if (thrown[i].ValueKind == JsonValueKind.Null)
                    await CompareAsync(cases[i], run.Sends[sent++].Send, warnings);
                else
                    CompareRefusal(cases[i], thrown[i]);
            }
            catch (Exception difference)
            {
                throw new InvalidOperationException($"{difference.Message}\n  of {cases[i]}", difference);
            }
        }
        Assert.Equal(sent, run.Sends.Count);
    }

    void CompareRefusal(SendCase sendCase, JsonElement thrown)
    {
        string message = thrown.GetProperty("message").GetString()!;
        Assert.Equal("SENDOFF_INVALID_SEND", thrown.GetProperty("code").GetString());
        Assert.StartsWith("$send.http: invalid value ", message);
        try
        {
            SendModel.Of(sendCase.Asked, sendCase.Url, receiver.Port);
        }
        catch (RefusedException refusal)
        {
            // A circular object is refused where its depth became too much.
            string start = $" for {BodyModel.WellFormed(refusal.Path)}";
            refused++;
            bool isNamed =
                message.EndsWith(start, StringComparison.Ordinal)
                || message.Contains(start + ": ", StringComparison.Ordinal)
                || message.Contains(start + ".self", StringComparison.Ordinal);
            Assert.True(isNamed, $"refused for {refusal.Path}, and said: {message}");
            return;
        }
        Assert.Fail($"refused, although it can be sent: {message}");
    }

    async Task CompareAsync(SendCase sendCase, HttpSend send, List<string> warnings)
    {
        SendModel asked;
        try
        {
            asked = SendModel.Of(sendCase.Asked, sendCase.Url, receiver.Port);
        }
        catch (RefusedException refusal)
        {
            throw new InvalidOperationException($"sent, although {refusal.Path} is bad");
        }
        var attempt = await sending.SendAsync(send);
        Assert.True(
            attempt.Status == DeliveryStatus.Succeeded,
            $"the attempt: {attempt.Error?.Message ?? $"status {attempt.Response!.Status}"}"
        );
        await CompareAsync(asked, Assert.Single(receiver.Take()));
        delivered++;
        foreach (string name in asked.Ignored)
            Assert.Contains(warnings, warning => warning.Contains($"`{name}`", StringComparison.Ordinal));
    }

    static async Task CompareAsync(SendModel asked, ParsedRequest got)
    {
        Equal("method", asked.Method, got.Method);
        Equal("path", asked.Path, got.Path);
        CompareQuery(asked, got);
        CompareHeaders(asked, got);
        if (asked.Body.Form is { } form)
            Equal("form", form, await got.ReadFormAsync());
        else if (asked.Body.Parts is { } parts)
            CompareParts(parts, await got.ReadPartsAsync());
        else
            Equal("body", Encoding.Latin1.GetString(asked.Body.Bytes!), Encoding.Latin1.GetString(got.Body));
    }

    static void CompareQuery(SendModel asked, ParsedRequest got)
    {
        if (asked.OwnQuery is null && asked.Params.Count == 0)
        {
            Equal("query", null, got.QueryPieces is null ? null : "?");
            return;
        }
        var own = asked.OwnQuery ?? [];
        Equal("own query", own, got.QueryPieces!.Take(own.Count));
        Equal("params", asked.Params, ParsedRequest.PairsOf(got.QueryPieces!.Skip(own.Count)));
    }

    static void CompareHeaders(SendModel asked, ParsedRequest got)
    {
        var expected = asked.Headers.ToDictionary(static header => header.Key, static header => header.Value);
        if (got.Body.Length > 0 || asked.Method is "POST" or "PUT" or "PATCH")
            expected["content-length"] = [$"{got.Body.Length}"];
        Equal("header names", expected.Keys.Order(StringComparer.Ordinal), got.Headers.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, values) in expected)
        {
            if (!values[0].EndsWith("; boundary=", StringComparison.Ordinal))
                Equal(name, values, got.Headers[name]);
            else
                Equal(name, values, got.Headers[name].Select((value, i) => i == 0 ? value[..(value.LastIndexOf('=') + 1)] : value));
        }
    }

    static void CompareParts(IReadOnlyList<PartModel> asked, List<PartModel> got)
    {
        Equal("parts", asked.Select(Describe), got.Select(Describe));

        static string Describe(PartModel part) =>
            $"name {part.Name}, file {part.FileName}, type {part.Type}: {Encoding.Latin1.GetString(part.Content)}";
    }

    static void Equal<T>(string what, IEnumerable<T> asked, IEnumerable<T> got) =>
        Equal(what, string.Join('\n', asked), string.Join('\n', got));

    static void Equal(string what, string? asked, string? got)
    {
        if (!string.Equals(asked, got, StringComparison.Ordinal))
            Assert.Fail($"{what}: asked for {Show(asked)}, got {Show(got)}");
    }

    static string Show(string? text)
    {
        if (text is null)
            return "nothing";
        var shown = new StringBuilder();
        AsciiJson.Quote(shown, text.Length > 2_000 ? text[..2_000] + "…" : text);
        return shown.ToString();
    }
}
