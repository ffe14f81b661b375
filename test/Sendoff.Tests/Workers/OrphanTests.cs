using System.Diagnostics;
using System.Text;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workers;

/// <summary>What becomes of workers whose server is killed.</summary>
public sealed class OrphanTests
{
    [Fact]
    public async Task Worker_in_a_synchronous_loop_ends_with_a_server_that_is_killed()
    {
        using var folder = new TempFolder();
        await using var server = await ServerProcess.StartAsync(folder.Path, "a-token-for-orphans", "Workers:Sandbox=none");
        string note = Path.Combine(folder.Path, "pid");
        string hook = await server.DeployAsync(
            "orphan",
            "const fs = require('fs'); fs.writeFileSync(event.body.note + '.new', String(process.pid)); "
                + "fs.renameSync(event.body.note + '.new', event.body.note); for (;;);"
        );
        using var _ = await server.Http.PostAsync(
            hook,
            new StringContent($$"""{"note":"{{note}}"}""", Encoding.UTF8, "application/json"),
            TestContext.Current.CancellationToken
        );
        await Wait.UntilAsync(() => File.Exists(note));
        using var worker = Process.GetProcessById(int.Parse(await File.ReadAllTextAsync(note, TestContext.Current.CancellationToken)));

        server.Kill();

        await worker.WaitForExitAsync(Wait.Token);
    }
}
