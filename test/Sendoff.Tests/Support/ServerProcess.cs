using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using Sendoff.Server.Api;

namespace Sendoff.Tests.Support;

/// <summary>A folder that is deleted on dispose.</summary>
sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("sendoff-test-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

/// <summary>The output and exit code of a command.</summary>
sealed record CommandResult(int ExitCode, string Output, string Error);

/// <summary><c>sendoff</c> as a separate process.</summary>
static class SendoffCommand
{
    public static ProcessStartInfo Info(params string[] args)
    {
        var info = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        // Only settings of the test apply, whatever is set in the environment of the tests.
        foreach (string name in info.Environment.Keys.Where(static name => name.StartsWith("SENDOFF_", StringComparison.Ordinal)).ToList())
            info.Environment.Remove(name);
        info.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "sendoff.dll"));
        foreach (string arg in args)
            info.ArgumentList.Add(arg);
        return info;
    }

    /// <summary>Runs a command to its end.</summary>
    public static async Task<CommandResult> RunAsync(
        string[] args,
        string? workingDirectory = null,
        string? input = null,
        IReadOnlyDictionary<string, string>? environment = null
    )
    {
        var info = Info(args);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            info.Environment[name] = value;
        info.WorkingDirectory = workingDirectory ?? "";
        using var process = Process.Start(info)!;
        if (input is not null)
            await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(Wait.Token);
        return new(process.ExitCode, await output, await error);
    }
}

/// <summary><c>sendoff serve</c> as a separate process that can be killed.</summary>
sealed class ServerProcess : IAsyncDisposable
{
    const int FirstPort = 11_000,
        Ports = 20_000;
    static int ports = Random.Shared.Next(Ports);

    readonly Process process;
    readonly SaidLines said;

    ServerProcess(Process process, SaidLines said, Uri address, string token)
    {
        (this.process, this.said) = (process, said);
        Http = new HttpClient { BaseAddress = address };
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
    }

    public HttpClient Http { get; }
    public int Id => process.Id;
    public bool HasExited => process.HasExited;

    /// <summary>Peak memory in MiB. Linux only.</summary>
    public int PeakMemoryMb()
    {
        string line = File.ReadLines($"/proc/{process.Id}/status").Single(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
        return int.Parse(line.AsSpan(6, line.Length - 9)) / 1024;
    }

    /// <summary>Starts it on a free port and waits until it is ready.</summary>
    public static Task<ServerProcess> StartAsync(string folder, string token, params string[] settings) =>
        StartAsync([], folder, token, settings);

    /// <summary>Starts it with this number of file descriptors. Linux only.</summary>
    public static Task<ServerProcess> StartWithFilesAsync(int files, string folder, string token, params string[] settings) =>
        StartAsync(["prlimit", $"--nofile={files}:{files}"], folder, token, settings);

    /// <param name="settings">Settings as <c>KEY=VALUE</c>, or a switch such as <c>--hold</c>.</param>
    /// <param name="launcher">The command that starts the program, such as <c>setsid</c> or <c>dotnet run</c>; empty starts it
    /// directly.</param>
    /// <inheritdoc cref="StartAsync(string, string, string[])" path="/summary"/>
    public static async Task<ServerProcess> StartAsync(string[] launcher, string folder, string token, params string[] settings)
    {
        int port = FreePort();
        var info = SendoffCommand.Info(
            "serve",
            "--data",
            folder,
            "--listen",
            $"http://127.0.0.1:{port}",
            "--set",
            $"Auth:Token={token}",
            "--set",
            "Egress:Allow=127.0.0.0/8"
        );
        foreach (string setting in settings)
            info.ArgumentList.Add(setting.StartsWith("--", StringComparison.Ordinal) ? setting : $"--set={setting}");
        if (launcher is ["dotnet", ..])
            info.ArgumentList.RemoveAt(0); // it contains the program
        else if (launcher.Length > 0)
            info.ArgumentList.Insert(0, "dotnet");
        for (int i = launcher.Length - 1; i > 0; i--)
            info.ArgumentList.Insert(0, launcher[i]);
        if (launcher.Length > 0)
            info.FileName = launcher[0];
        var process = Process.Start(info)!;
        var said = SaidLines.Of(process);
        var ready = said.WaitForAsync("ready;");
        if (await Task.WhenAny(ready, said.Ended).WithinLimitAsync() != ready)
            Assert.Fail($"the server ended: {said}");
        await ready;
        return new(process, said, new Uri($"http://127.0.0.1:{port}"), token);
    }

    /// <summary>Deploys one step in the older style and returns its trigger's path.</summary>
    public async Task<string> DeployAsync(string name, string body)
    {
        var files = new Dictionary<string, string>
        {
            ["workflow.yaml"] = $"triggers: [ {{ type: http, key: {name} }} ]\nsteps: [ {{ namespace: step, uses: ./step.js }} ]",
            ["step.js"] = body,
        };
        using var response = await Http.PutAsJsonAsync(
            $"/api/v1/workflows/{name}",
            new DeployDocument(files),
            ApiJson.Default.DeployDocument
        );
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return $"/hooks/{name}";
    }

    /// <summary>Kills the process, like a power failure.</summary>
    public void Kill() => process.Kill();

    /// <summary>Sends a signal such as <c>TERM</c>, to the whole process group if it was started by <c>setsid</c>.</summary>
    public void Signal(string name, bool toGroup = false) => Signals.Send(process.Id, name, toGroup);

    /// <summary>The same, to a server that may have ended.</summary>
    public void SignalIfAlive(string name) => Signals.TrySend(process.Id, name);

    /// <summary>Waits for a line of its output that contains the text.</summary>
    public Task<string> SaysAsync(string text) => said.WaitForAsync(text).WithinLimitAsync();

    /// <summary>Waits for its end and returns its exit code.</summary>
    public async Task<int> EndAsync()
    {
        await process.WaitForExitAsync().WithinLimitAsync();
        await said.Ended;
        return process.ExitCode;
    }

    /// <summary>All of its output.</summary>
    public string Said => said.ToString();

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!process.HasExited)
            process.Kill();
        await process.WaitForExitAsync();
        await said.Ended;
        process.Dispose();
    }

    /// <summary>A port below those that the system assigns to connections, so that no other process takes it before the server
    /// does.</summary>
    public static int FreePort()
    {
        while (true)
        {
            int port = FirstPort + Interlocked.Increment(ref ports) % Ports;
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // The port is in use; try the next one.
            }
        }
    }
}
