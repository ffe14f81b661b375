using System.Text.Json;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Workers;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>The first run after a deploy or a test is in the worker that checked the files, unless something else has changed.</summary>
public sealed class FirstRunTests(SharedServer shared) : IClassFixture<SharedServer>
{
    TestServer Server => shared.Server;

    int[] Processes() => [.. Server.Get<WorkerPool>().ProcessIds];

    /// <summary>The processes that begin while something is done.</summary>
    async Task<int[]> BegunAsync(Func<Task> act)
    {
        int[] before = Processes();
        await act();
        return [.. Processes().Except(before)];
    }

    static string Exported(Sendoff.Server.Api.RunDocument run) => JsonSerializer.Serialize(run.Steps[0].Exports);

    const string Step =
        "export default defineComponent({ run({ steps }) { "
        + "return [process.env.FIRST_RUN ?? null, steps.trigger.context.deployment_id]; } });";

    [Fact]
    public async Task The_first_run_of_each_version_is_in_the_worker_that_checked_it()
    {
        string hook = "";
        for (int version = 1; version <= 2; version++)
        {
            int[] begun = await BegunAsync(async () => hook = await Server.DeployAsync("first", Step));
            Assert.Single(begun);
            Assert.Empty(await BegunAsync(async () => Assert.Contains($",{version}]", Exported(await Server.RunAsync(hook)))));
        }
    }

    [Fact]
    public async Task A_changed_variable_is_seen_by_the_first_run()
    {
        string hook = await Server.DeployAsync("changed", Step);
        await Server.Get<SecretCatalog>().SetAsync("FIRST_RUN", "given", false, Wait.Token);
        Assert.Contains("\"given\",1", Exported(await Server.RunAsync(hook)));
    }
}
