using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests;

/// <summary>Signals end the server in order: what is in flight comes to its end, the rest waits for the next start (C7, E1).</summary>
public sealed class ShutdownTests : IDisposable
{
    const string Token = "a-token-for-shutdowns";
    const int Deliveries = 30;

    readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    /// <summary>As a service manager, a terminal, <c>timeout</c> and <c>dotnet run</c> deliver signals.</summary>
    public static TheoryData<string, string, int, bool> Ways =>
        new()
        {
            { "", "TERM", 1, false },
            { "", "INT", 1, false },
            { "", "TERM", 2, false },
            { "setsid", "INT", 1, true },
            { "setsid", "TERM", 1, true },
            { "dotnet run", "TERM", 1, false },
        };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Signal_lets_runs_and_deliveries_in_flight_end_and_the_server_exits_with_0(
        string launcher,
        string signal,
        int times,
        bool toGroup
    )
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        // Answers come 3 s after they are released: later than a command is ended by force.
        await using var receiver = Sink.Start(hold: true, delay: TimeSpan.FromSeconds(3));
        string run,
            slow;
        await using (var server = await StartAsync(launcher, "Delivery:Deadline=60s"))
        {
            string hook = await server.DeployAsync(
                "sends",
                $$"""for (let n = 0; n < {{Deliveries}}; n++) $send.http({ method: "GET", url: "{{receiver.Url}}" + n })"""
            );
            string slowHook = await server.DeployAsync(
                "slow",
                $$"""await fetch("{{receiver.Url}}from-step"); $send.http({ method: "GET", url: "{{receiver.Url}}after-run" })"""
            );
            run = await PostAsync(server, hook);
            slow = await PostAsync(server, slowHook);
            await receiver.WaitForRequestsAsync(Deliveries + 1);

            for (int i = 0; i < times; i++)
                server.Signal(signal, toGroup);
            await server.SaysAsync($"and {Deliveries} deliveries in flight, up to 90 s");
            await server.SaysAsync("to end immediately");
            receiver.Release();
            Assert.Equal(0, await server.EndAsync());
        }

        await using var next = await StartAsync("");
        var sent = await RunAsync(next, run);
        var ended = await RunAsync(next, slow);
        Assert.All(sent.Steps[0].Deliveries, static delivery => Assert.Equal("succeeded", delivery.Status));
        Assert.Equal(("succeeded", false), (ended.Status, ended.Recovered));
        Assert.Equal("succeeded", ended.Steps[0].Deliveries[0].Status);
        Assert.All(receiver.Requests.CountBy(static request => request.Target), static target => Assert.Equal(1, target.Value));
        Assert.Equal(Deliveries + 2, receiver.Requests.Count);
    }

    [Fact]
    public async Task Run_that_outlasts_five_shutdowns_is_run_again_each_time_and_sends_once()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        await using var receiver = Sink.Start();
        await using var gate = Sink.Start(hold: true);
        string run = "";
        for (int start = 0; start < 5; start++)
        {
            await using var server = await StartAsync("", "Shutdown:Timeout=100ms");
            if (start == 0)
                run = await PostAsync(
                    server,
                    await server.DeployAsync(
                        "slow",
                        $$"""$send.http({ method: "GET", url: "{{receiver.Url}}" }); await fetch("{{gate.Url}}")"""
                    )
                );
            await gate.WaitForRequestsAsync(1);
            server.Signal("TERM");
            Assert.Equal(0, await server.EndAsync());
            Assert.Contains("Runs that did not end within 0.1 s: 1.", server.Said);
        }
        gate.Release();
        await using var last = await StartAsync("");
        await receiver.WaitForRequestsAsync(1);
        var ended = await RunAsync(last, run);
        Assert.Equal(("succeeded", true), (ended.Status, ended.Recovered));
        Assert.Single(receiver.Requests);
    }

    [Fact]
    public async Task Second_signal_ends_the_server_immediately()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        await using var receiver = Sink.Start(hold: true);
        await using var server = await StartAsync("", "Delivery:Deadline=60s");
        await PostAsync(server, await server.DeployAsync("sends", $$"""$send.http({ method: "GET", url: "{{receiver.Url}}" })"""));
        await receiver.WaitForRequestsAsync(1);
        server.Signal("TERM");
        await server.SaysAsync("and 1 deliveries in flight");
        var ended = server.EndAsync();
        // One that comes within a second is taken for the same.
        for (int i = 0; i < 100 && !ended.IsCompleted; i++)
        {
            server.SignalIfAlive("TERM");
            await Task.WhenAny(ended, Task.Delay(300));
        }
        Assert.Equal(128 + 15, await ended);
    }

    [Fact]
    public async Task Hangup_does_not_end_a_server_without_a_terminal()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        await using var server = await StartAsync("");
        string hook = await server.DeployAsync("value", "return process.pid");
        string before = await WorkerOfAsync();
        for (int i = 0; i < 2; i++)
        {
            server.Signal("HUP");
            await Wait.UntilAsync(() => server.Said.Split("SIGHUP: nothing to reload").Length == i + 2);
        }
        Assert.Equal(before, await WorkerOfAsync());
        server.Signal("TERM");
        Assert.Equal(0, await server.EndAsync());

        async Task<string> WorkerOfAsync() =>
            (await RunAsync(server, await PostAsync(server, hook))).Steps[0].Exports.GetProperty("$return_value").ToString();
    }

    [Fact]
    public async Task Signal_ends_a_server_that_has_not_started_yet()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are of POSIX");
        string node = Path.Combine(folder.Path, "node"),
            asked = Path.Combine(folder.Path, "asked");
        // A Node.js that never says its version.
        File.WriteAllText(node, $"#!/bin/sh\ntouch {asked}\nexec sleep 60\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(node, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using var process = Process.Start(
            SendoffCommand.Info("serve", "--data", Path.Combine(folder.Path, "data"), "--set", $"Workers:NodePath={node}")
        )!;
        var lines = SaidLines.Of(process);
        await Wait.UntilAsync(() => File.Exists(asked));
        Signals.Send(process.Id, "TERM");
        await process.WaitForExitAsync().WithinLimitAsync();
        await lines.Ended;
        Assert.Equal((0, $"sendoff: starting with data in {folder.Path}/data"), (process.ExitCode, lines.ToString().Trim()));
    }

    Task<ServerProcess> StartAsync(string launcher, params string[] settings) =>
        ServerProcess.StartAsync(
            launcher == "dotnet run"
                    ? ["dotnet", "run", "--no-build", "--no-launch-profile", "--configuration", Configuration, "--project", Project(), "--"]
                : launcher.Length > 0 ? [launcher]
                : [],
            folder.Path,
            Token,
            settings
        );

    static string Project([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "../../src/Sendoff");

    static string Configuration => new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/')).Parent!.Name;

    static async Task<string> PostAsync(ServerProcess server, string hook)
    {
        using var response = await server.Http.PostAsync(hook, null);
        return response.EnsureSuccessStatusCode().Headers.GetValues("sendoff-run").Single();
    }

    // Once it and every delivery of it have ended.
    static async Task<RunDocument> RunAsync(ServerProcess server, string run)
    {
        RunDocument? document = null;
        await Wait.UntilAsync(
            async () =>
            {
                document = JsonSerializer.Deserialize(
                    await server.Http.GetStringAsync($"/api/v1/runs/{run}"),
                    ApiJson.Default.RunDocument
                )!;
                return document.Status is not ("queued" or "running")
                    && document.Steps.All(static step => step.Deliveries.All(static d => d.Status is not ("pending" or "sending")));
            },
            $"the end of {run}"
        );
        return document!;
    }
}
