using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Engine.Workflows;

namespace Sendoff.Benchmarks;

/// <summary>Thousands of workflows: measures the start of a published server, and how many workflows per second run for the first
/// time.</summary>
static class WorkflowBenchmark
{
    public static async Task<int> RunAsync(string[] args)
    {
        if (args.Length == 0 || !File.Exists(Path.Combine(args[0], "sendoff")))
        {
            Console.Error.WriteLine("usage: workflows PUBLISHED-FOLDER [workflows] [called at once] [rounds]");
            return 2;
        }
        string program = Path.Combine(args[0], "sendoff");
        int many = args.Length > 1 ? int.Parse(args[1], null) : 2_000,
            called = args.Length > 2 ? int.Parse(args[2], null) : 200,
            rounds = args.Length > 3 ? int.Parse(args[3], null) : 3;
        string few = await FillAsync(1),
            full = await FillAsync(many);
        for (int round = 1; round <= rounds; round++)
        {
            var (first, _) = await ServeAsync(program, few, 0);
            var (all, rate) = await ServeAsync(program, full, called);
            Console.WriteLine(
                $"round {round}: start with 1 workflow {first.TotalSeconds:0.00} s, with {many:N0} {all.TotalSeconds:0.00} s; "
                    + $"{called} called at once: {rate:0.0} runs a second"
            );
        }
        Directory.Delete(few, recursive: true);
        Directory.Delete(full, recursive: true);
        return 0;
    }

    /// <summary>Creates the state after deploys, without checking each in a worker.</summary>
    static async Task<string> FillAsync(int workflows)
    {
        string folder = Directory.CreateTempSubdirectory("sendoff-bench-").FullName;
        byte[] key = new byte[SecretCipher.KeyBytes];
        await File.WriteAllTextAsync(Path.Combine(folder, "secret-key"), Convert.ToBase64String(key));
        var ids = new IdSequence(TimeProvider.System);
        await using var store = await SqliteStore.OpenAsync(
            Path.Combine(folder, "sendoff.db"),
            new Concealment(new SecretCipher(key)),
            ids,
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            default
        );
        for (int n = 0; n < workflows; n++)
        {
            var files = new Dictionary<string, string>
            {
                ["workflow.yaml"] =
                    $"triggers: [ {{ type: http, key: w{n}, response: custom }} ]\nsteps: [ {{ namespace: step, uses: ./step.js }} ]\n",
                ["step.js"] = $"await $respond({{ status: 200, body: '{n}' }});\n",
            };
            await store.DeployAsync($"w{n}", files, WorkflowReader.Read($"w{n}", files).Definition!.Triggers, default);
        }
        return folder;
    }

    static async Task<(TimeSpan Start, double Rate)> ServeAsync(string program, string data, int called)
    {
        int port = 20_000 + Environment.ProcessId % 10_000;
        long began = Stopwatch.GetTimestamp();
        using var server = Process.Start(
            new ProcessStartInfo(program, ["serve", "--data", data, "--listen", $"http://127.0.0.1:{port}"])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            }
        )!;
        while (await server.StandardError.ReadLineAsync() is { } line && !line.Contains("ready;", StringComparison.Ordinal))
            continue;
        var start = Stopwatch.GetElapsedTime(began);
        _ = server.StandardError.ReadToEndAsync();
        double rate = 0;
        if (called > 0)
        {
            using var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}"), Timeout = TimeSpan.FromMinutes(10) };
            long calling = Stopwatch.GetTimestamp();
            await Task.WhenAll(
                Enumerable
                    .Range(0, called)
                    .Select(async n =>
                    {
                        using var answer = await http.PostAsync($"/hooks/w{n}", null);
                        answer.EnsureSuccessStatusCode();
                    })
            );
            rate = called / Stopwatch.GetElapsedTime(calling).TotalSeconds;
        }
        server.Kill();
        await server.WaitForExitAsync();
        return (start, rate);
    }
}
