using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Workers;

/// <summary>Real workers with a data directory beside them that they must not see. It is not under /tmp, which steps may read where there
/// is no sandbox.</summary>
sealed class SandboxRig : IAsyncDisposable
{
    /// <summary>Why bubblewrap does not work here; null where it does.</summary>
    static readonly Task<string?> Lacking = FindAsync();

    static readonly string[] Private = ["sendoff.db", "secret-key", "admin-token"];

    // Not below the temporary folder, which a step may read and write where there is no sandbox.
    readonly string data = Path.Combine(
        OperatingSystem.IsWindows() ? AppContext.BaseDirectory : "/var/tmp",
        $"sendoff-sandbox-{Guid.NewGuid():N}"
    );

    SandboxRig(SandboxOptions options)
    {
        Directory.CreateDirectory(Path.Combine(data, "versions", "other"));
        foreach (string file in (string[])[.. Private, Path.Combine("versions", "other", "step.js")])
            File.WriteAllText(Path.Combine(data, file), "private");
        Workers = new WorkerRig(
            isolation: options with
            {
                Rooms = Path.Combine(data, "workers"),
            },
            folder: Path.Combine(data, "versions", "own")
        );
    }

    public WorkerRig Workers { get; }
    public string Rooms => Path.Combine(data, "workers");

    /// <inheritdoc cref="RequireAsync"/>
    public static async Task<SandboxRig> StartAsync(bool inSandbox = true, SandboxOptions? options = null)
    {
        if (inSandbox)
            await RequireAsync();
        return new((options ?? new()) with { Mode = inSandbox ? SandboxMode.Bubblewrap : SandboxMode.None });
    }

    /// <summary>Skips the test where there is no bubblewrap, and fails it there in CI.</summary>
    public static async Task RequireAsync()
    {
        if (await Lacking is not { } why)
            return;
        Assert.False(Environment.GetEnvironmentVariable("CI") == "true", why);
        Assert.Skip(why);
    }

    static async Task<string?> FindAsync()
    {
        try
        {
            var node = await WorkerRig.Node.EnsureAsync(null, CancellationToken.None);
            using var sandbox = await Sandbox.PrepareAsync(
                new() { Mode = SandboxMode.Bubblewrap },
                node,
                Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs"),
                CancellationToken.None
            );
            return null;
        }
        catch (WorkerUnavailableException e)
        {
            return e.Message;
        }
    }

    /// <summary>Runs one step that gets the data directory as <c>data</c>, and answers what it returned.</summary>
    public async Task<string> AskAsync(string code, int memoryMb = 64)
    {
        var run = await RunAsync(code, memoryMb);
        Assert.True(run.End == WorkerEnd.Succeeded, run.Message ?? run.Steps[0].Error?.Message);
        return run.Exports(0).GetProperty("$return_value").ToString();
    }

    public Task<WorkerRun> RunAsync(string code, int memoryMb = 64) => Workers.RunAsync(Workers.Program(Text(code), memoryMb));

    /// <summary>The data directory has the files that it had at the start, and they hold what they held.</summary>
    public void AssertUntouched()
    {
        Assert.Equal(Private.Order(), Directory.GetFiles(data).Select(file => Path.GetFileName(file)).Order());
        foreach (string file in Private)
            Assert.Equal("private", File.ReadAllText(Path.Combine(data, file)));
    }

    string Text(string code) => $"const data = {System.Text.Json.JsonSerializer.Serialize(data)}, fs = require('fs');\n{code}";

    public async ValueTask DisposeAsync()
    {
        await Workers.DisposeAsync();
        Directory.Delete(data, recursive: true);
    }
}

/// <summary>One rig in the sandbox and one without it for all tests of a class: each program has a worker of its own.</summary>
public sealed class SharedRigs : IAsyncDisposable
{
    SandboxRig? sandboxed,
        plain;

    internal async Task<SandboxRig> OfAsync(bool inSandbox) =>
        inSandbox ? sandboxed ??= await SandboxRig.StartAsync() : plain ??= await SandboxRig.StartAsync(inSandbox: false);

    public async ValueTask DisposeAsync()
    {
        if (sandboxed is not null)
            await sandboxed.DisposeAsync();
        if (plain is not null)
            await plain.DisposeAsync();
    }
}
