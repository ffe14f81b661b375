using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>No process stays behind, whenever in its start a worker is killed. Bubblewrap is two processes, and ties them together only
/// after a while.</summary>
public sealed class WorkerLeftoverTests
{
    const int Moments = 40;

    /// <summary>A start takes about 20 ms until bubblewrap has tied its processes together, and 60 ms until Node.js connects.</summary>
    static readonly TimeSpan LatestMoment = TimeSpan.FromMilliseconds(60);

    [Fact]
    public async Task Worker_killed_at_any_moment_of_its_start_leaves_no_process()
    {
        await using var rig = await SandboxRig.StartAsync();
        await EachMomentAsync(
            rig,
            (process, _) =>
            {
                process.Kill();
                return Task.CompletedTask;
            }
        );
    }

    [Fact]
    public async Task Worker_that_somebody_else_kills_at_any_moment_of_its_start_leaves_no_process()
    {
        await using var rig = await SandboxRig.StartAsync();
        await EachMomentAsync(
            rig,
            (process, _) =>
            {
                Signals.Send(process.Id, "KILL");
                return Task.CompletedTask;
            }
        );
    }

    [Fact]
    public async Task Server_that_is_gone_at_any_moment_of_a_workers_start_leaves_no_process()
    {
        await using var rig = await SandboxRig.StartAsync();
        // The guard sees the end of its pipe, as when the server was killed.
        await EachMomentAsync(rig, (_, guard) => guard.DisposeAsync().AsTask());
    }

    static async Task EachMomentAsync(SandboxRig rig, Func<WorkerProcess, WorkerGuard, Task> endAsync)
    {
        var node = await WorkerRig.Node.EnsureAsync(null, Wait.Token);
        using var sandbox = await Sandbox.PrepareAsync(
            new() { Mode = SandboxMode.Bubblewrap, Rooms = rig.Rooms },
            node,
            Path.Combine(AppContext.BaseDirectory, "harness", "main.mjs"),
            Wait.Token
        );
        for (int moment = 0; moment < Moments; moment++)
        {
            var door = new WorkerDoor(Path.GetTempPath());
            using var room = sandbox.NewRoom();
            await using var guard = new WorkerGuard(NullLogger.Instance);
            var worker = await WorkerProcess.StartAsync(sandbox, node, room, door.Address, memoryMb: 64, TimeProvider.System);
            guard.Watch(worker);

            await Task.Delay(LatestMoment * moment / Moments, Wait.Token); // the input of the test
            await endAsync(worker, guard);
            await worker.Ended.WithinLimitAsync();
            door.Dispose(); // as the pool does; one that goes on alone finds nobody

            await Wait.UntilAsync(
                () => !AnyProcessSees(room.Folder),
                $"no process of the worker is left that was killed {LatestMoment * moment / Moments} after its start"
            );
        }
    }

    [Fact]
    public async Task Pool_that_ends_while_its_workers_start_leaves_no_process()
    {
        for (int moment = 0; moment < 10; moment++)
        {
            await using var rig = await SandboxRig.StartAsync();
            await using var pool = new WorkerPool(
                WorkerRig.Node,
                new EngineLimits { WorkersWarm = 4, WorkersMax = 4 },
                TimeProvider.System,
                NullLogger<WorkerPool>.Instance
            )
            {
                Isolation = new() { Mode = SandboxMode.Bubblewrap, Rooms = rig.Rooms },
            };
            pool.Warm();
            await Wait.UntilAsync(() => pool.InForce is not null);
            await Task.Delay(LatestMoment * moment / 10, Wait.Token); // the input of the test

            await pool.DisposeAsync();

            await Wait.UntilAsync(() => !AnyProcessSees(rig.Rooms), "no process of the pool is left");
        }
    }

    /// <summary>Bubblewrap's processes name the folder in their arguments; what runs in the sandbox has it mounted.</summary>
    static bool AnyProcessSees(string folder) =>
        Directory
            .EnumerateDirectories("/proc")
            .Where(process => char.IsAsciiDigit(Path.GetFileName(process)[0]))
            .Any(process =>
                Read(process, "cmdline") is var command
                && (command.Contains(folder) || (command.Contains("/sendoff/") && Read(process, "mountinfo").Contains(folder)))
            );

    static string Read(string process, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ""; // it has ended
        }
    }
}
