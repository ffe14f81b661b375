using System.Net.Http.Json;
using System.Text.Json;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Packages;

/// <summary>S7: whatever a lock or a package names, npm fetches nothing from elsewhere.</summary>
public sealed class ForgedPackageTests : PackageRig
{
    [Theory]
    [InlineData("http://{0}/evil.tgz")]
    [InlineData("git+http://{0}/evil.git")]
    public async Task A_forged_lock_makes_nobody_fetch_what_it_names(string source)
    {
        using var elsewhere = new Elsewhere();
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        var files = Workflow(Returning("ms", "import ms from 'ms@2.1.0'"));
        await server!.DeployAsync("orders", files);
        var version = await server.Http.GetFromJsonAsync<JsonElement>("/api/v1/workflows/orders/versions/1", Ct);
        string locked = version.GetProperty("files").GetProperty("sendoff-lock.json").GetString()!,
            evil = string.Format(null, source, elsewhere.Address);

        foreach (
            string bent in (string[])
                [
                    locked.Replace("\"ms\": \"2.1.0\"\n      }", $"\"ms\": \"{evil}\"\n      }}"),
                    locked.Replace("\"version\": \"2.1.0\",", $"\"version\": \"{evil}\","),
                    locked.Replace("\"version\": \"2.1.0\",", $"\"version\": \"2.1.0\", \"dependencies\": {{ \"evil\": \"{evil}\" }},"),
                    locked.Replace("\"version\": \"2.1.0\",", $"\"version\": \"2.1.0\", \"resolved\": \"{evil}\","),
                    locked.Replace(
                        "\"lockfileVersion\": 3",
                        $"\"lockfileVersion\": 1, \"dependencies\": {{ \"ms\": {{ \"version\": \"{evil}\" }} }}"
                    ),
                ]
        )
        {
            Assert.NotEqual(locked, bent);
            foreach (string installed in Installed)
                Directory.Delete(installed, recursive: true);
            Assert.Equal("ms 2.1.0", await ValueAsync(await server.DeployAsync("orders", new(files) { ["sendoff-lock.json"] = bent })));
        }
        Assert.Equal(0, elsewhere.Connections);
    }

    [Theory]
    [InlineData("http://{0}/evil.tgz")]
    [InlineData("git+http://{0}/evil.git")]
    [InlineData("git://{0}/evil.git")]
    [InlineData("file:{1}")]
    public async Task A_published_package_that_needs_something_from_elsewhere_is_a_problem_and_nobody_fetches_it(string source)
    {
        using var elsewhere = new Elsewhere();
        using var private_ = new TempFolder();
        await File.WriteAllTextAsync(Path.Combine(private_.Path, "package.json"), """{ "name": "inner", "version": "1.0.0" }""", Ct);
        registry.Publish(
            "outer",
            "1.0.0",
            new() { ["index.js"] = "module.exports = require('inner')" },
            $$"""{ "dependencies": { "inner": "{{string.Format(null, source, elsewhere.Address, private_.Path)}}" } }"""
        );
        await StartAsync();

        AssertAt(
            await ProblemAsync(Workflow(Returning("a", "import a from 'outer'"))),
            "step.mjs",
            1,
            15,
            "a package does not come from the registry"
        );
        Assert.Equal(0, elsewhere.Connections);
        Assert.Empty(Installed);
    }

    [Fact]
    public async Task A_package_with_others_inside_of_it_is_installed_and_found_by_runs()
    {
        registry.Publish(
            "outer",
            "1.0.0",
            new()
            {
                ["index.js"] = "module.exports = require('inner')",
                ["node_modules/inner/index.js"] = "module.exports = 'bundled'",
                ["node_modules/inner/package.json"] = """{ "name": "inner", "version": "1.0.0" }""",
            },
            """{ "dependencies": { "inner": "1.0.0" }, "bundleDependencies": [ "inner" ] }"""
        );
        await StartAsync();
        Assert.Equal("bundled", await ValueAsync(await server!.DeployAsync("orders", Workflow(Returning("a", "import a from 'outer'")))));
    }

    [Fact]
    public async Task A_folders_manifest_sends_npm_nowhere_else()
    {
        using var elsewhere = new Elsewhere();
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        foreach (
            string manifest in (string[])
                [
                    $$"""{ "dependencies": { "ms": "http://{{elsewhere.Address}}/evil.tgz" } }""",
                    """{ "dependencies": { "ms": ".." } }""",
                    """{ "dependencies": { "ms": "evil.tgz" } }""",
                    $$"""{ "overrides": { "ms": "http://{{elsewhere.Address}}/evil.tgz" } }""",
                    """{ "workspaces": [ "../.." ] }""",
                    $$"""{ "scripts": { "preinstall": "touch {{folder.Path}}/planted" } }""",
                ]
        )
        {
            var files = Workflow(Returning("ms", "import ms from 'ms'"));
            files["package.json"] = manifest;
            files[".npmrc"] = $"registry=http://{elsewhere.Address}/\n";
            Assert.Equal("ms 2.1.0", await ValueAsync(await server!.DeployAsync("orders", files)));
        }
        Assert.Equal(0, elsewhere.Connections);
        Assert.False(File.Exists(Path.Combine(folder.Path, "planted")));
    }

    [Fact]
    public async Task A_stored_lock_that_is_none_does_not_stop_the_next_start()
    {
        await StartAsync();
        foreach (string text in (string[])["""{ "packages": {}, "packages": {} }""", "[]", "{", """{ "packages": { "": 1 } }"""])
            await server!.DeployAsync("orders", new(Workflow(Returning("1", ""))) { ["sendoff-lock.json"] = text });
        await StartAsync();
        Assert.Equal("1", await ValueAsync("/hooks/orders"));
    }
}
