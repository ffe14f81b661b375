using System.Net.Http.Json;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Packages;

/// <summary>E3: what steps import from npm is installed at the deploy, locked with the version, and never fetched by a run.</summary>
public sealed class PackageTests : PackageRig
{
    [Fact]
    public async Task Steps_import_several_versions_subpaths_scopes_and_json_beside_files_of_their_own()
    {
        registry.Publish("ms", "1.0.0");
        registry.Publish("ms", "1.0.5");
        registry.Publish(
            "ms",
            "2.1.0",
            new()
            {
                ["index.js"] = "module.exports = 'ms 2.1.0'",
                ["sub/deep.js"] = "module.exports = 'deep'",
                ["data.json"] = "{\"n\":7}",
            }
        );
        registry.Publish(
            "@acme/tool",
            "3.0.0",
            new() { ["index.mjs"] = "import ms from 'ms'; export const own = ms;" },
            """{ "exports": "./index.mjs", "dependencies": { "ms": "1.0.0" } }"""
        );
        await StartAsync();

        string hook = await server!.DeployAsync(
            "orders",
            new(
                Workflow(
                    Returning(
                        "[latest, ranged, old, deep, data.n, own].join()",
                        """
                        import latest from "ms";
                        import ranged from "ms@^1.0.0";
                        import { old, deep } from "./lib/more.cjs";
                        import data from "ms@2.1.0/data.json" with { type: "json" };
                        import { own } from "@acme/tool@3";
                        """
                    )
                )
            )
            {
                ["lib/more.cjs"] = "exports.old = require('ms@1.0.0'); exports.deep = require('ms/sub/deep.js'); require('node:fs');",
            }
        );

        Assert.Equal("ms 2.1.0,ms 1.0.5,ms 1.0.0,deep,7,ms 1.0.0", await ValueAsync(hook));
    }

    [Fact]
    public async Task A_step_of_the_older_style_requires_and_awaits_packages()
    {
        registry.Publish("ms", "2.1.0");
        registry.Publish("esm", "1.0.0", new() { ["index.js"] = "export default 'esm';" }, """{ "type": "module", "main": "index.js" }""");
        await StartAsync();
        var files = Workflow("", "./step.js");
        files.Remove("step.mjs");
        files["step.js"] = "const esm = (await import('esm')).default; return [require('ms@2.1.0'), esm, require('esm').default].join();";

        Assert.Equal("ms 2.1.0,esm,esm", await ValueAsync(await server!.DeployAsync("orders", files)));
    }

    [Fact]
    public async Task Neither_a_run_nor_a_start_touches_the_registry()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        string hook = await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")));
        int asked = registry.Requests;
        registry.Publish("ms", "2.2.0");

        Assert.Equal("ms 2.1.0", await ValueAsync(hook));
        await StartAsync();
        Assert.Equal("ms 2.1.0", await ValueAsync(hook));
        Assert.Equal(asked, registry.Requests);
    }

    [Fact]
    public async Task Packages_that_were_lost_are_installed_as_they_were_locked_and_a_new_version_takes_the_newest()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        string hook = await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")));
        registry.Publish("ms", "2.2.0");
        Directory.Delete(Path.Combine(folder.Path, "packages"), recursive: true);

        await StartAsync();
        Assert.Equal("ms 2.1.0", await ValueAsync(hook));

        await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")));
        Assert.Equal("ms 2.2.0", await ValueAsync(hook));
    }

    [Fact]
    public async Task One_run_in_a_terminal_has_its_packages_and_keeps_to_the_settings()
    {
        registry.Publish("ms", "2.1.0");
        registry.Publish(
            "built",
            "1.0.0",
            new() { ["index.js"] = "try { module.exports = require('./made.js') } catch { module.exports = 0 }" },
            """{ "scripts": { "install": "node -e \"fs.writeFileSync('made.js', 'module.exports = 1')\"" } }"""
        );
        string step = Path.Combine(folder.Path, "step.mjs");
        await File.WriteAllTextAsync(step, Returning("`${ms} ${built}`", "import ms from 'ms'; import built from 'built';"), Ct);

        var tooLarge = await CallAsync(("SENDOFF_Packages__MaxBytes", "1"));
        var plain = await CallAsync();
        var allowed = await CallAsync(("SENDOFF_Packages__AllowScripts", "built"));
        var wrong = await CallAsync(("SENDOFF_Packages__Timeout", "soon"));

        Assert.Equal((0, 0, 2, 2), (plain.ExitCode, allowed.ExitCode, tooLarge.ExitCode, wrong.ExitCode));
        Assert.Contains("ms 2.1.0 0", plain.Output);
        Assert.Contains("the install scripts of built were not run", plain.Error);
        Assert.Contains("ms 2.1.0 1", allowed.Output);
        Assert.Contains("Packages:MaxBytes", tooLarge.Error);
        Assert.Contains("Packages:Timeout", wrong.Error);

        Task<CommandResult> CallAsync(params (string Name, string Value)[] settings) =>
            SendoffCommand.RunAsync(
                ["run", step],
                environment: registry
                    .Environment.Concat(settings.Select(setting => KeyValuePair.Create(setting.Name, setting.Value)))
                    .ToDictionary()
            );
    }

    [Fact]
    public async Task A_run_whose_packages_were_lost_fails_and_asks_npm_for_nothing()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        string hook = await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")));
        int asked = registry.Requests;
        // A change of the secrets has every version made ready anew.
        Directory.Delete(Path.Combine(folder.Path, "packages"), recursive: true);
        using var secret = await server!.Http.PutAsJsonAsync("/api/v1/secrets/ANY", new { value = "a value of some length" }, Ct);
        secret.EnsureSuccessStatusCode();

        var run = await server.RunAsync(hook);
        Assert.Equal("failed", run.Status);
        Assert.Contains("ms", run.Error!.Message);
        Assert.Equal(asked, registry.Requests);
    }

    [Fact]
    public async Task A_deploy_names_the_install_scripts_that_it_left_out()
    {
        registry.Publish("built", "1.0.0", new() { ["index.js"] = "module.exports = 0" }, """{ "scripts": { "install": "node -e 1" } }""");
        await StartAsync();
        using var response = await server!.Http.PutAsJsonAsync(
            "/api/v1/workflows/orders",
            new DeployDocument(Workflow(Returning("built", "import built from 'built'"))),
            ApiJson.Default.DeployDocument,
            Ct
        );
        Assert.Equal(["built"], (await response.Content.ReadFromJsonAsync(ApiJson.Default.WorkflowDocument, Ct))!.ScriptsLeftOut);
    }

    [Fact]
    public async Task A_version_deployed_with_its_lock_has_the_very_same_packages()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        var files = Workflow(Returning("ms", "import ms from 'ms'"));
        await server!.DeployAsync("orders", files);
        var version = await server.Http.GetFromJsonAsync<JsonElement>("/api/v1/workflows/orders/versions/1", Ct);
        registry.Publish("ms", "2.2.0");

        string locked = version.GetProperty("files").GetProperty("sendoff-lock.json").GetString()!;
        string hook = await server.DeployAsync("orders", new(files) { ["sendoff-lock.json"] = locked });
        Assert.Equal("ms 2.1.0", await ValueAsync(hook));

        // One that leads to another file is not followed.
        string bent = locked.Replace("\"version\": \"2.1.0\",", "\"version\": \"2.1.0\", \"resolved\": \"file:../../x.tgz\",");
        Assert.NotEqual(locked, bent);
        await server.DeployAsync("orders", new(files) { ["sendoff-lock.json"] = bent });
        Assert.Equal("ms 2.2.0", await ValueAsync(hook));
    }

    [Fact]
    public async Task Versions_with_the_same_packages_share_a_folder_that_goes_at_a_start_when_none_needs_it()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        await server!.DeployAsync("orders", Workflow(Returning("ms", "import ms from 'ms'")));
        await server.DeployAsync("orders", Workflow(Returning("ms + 1", "import ms from 'ms'")));
        Assert.Single(Installed);

        await StartAsync();
        Assert.Single(Installed);
        (await server.Http.DeleteAsync("/api/v1/workflows/orders", Ct)).EnsureSuccessStatusCode();
        await StartAsync();
        Assert.Empty(Installed);
    }

    [Fact]
    public async Task What_npm_does_not_have_is_a_problem_at_the_import()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();

        AssertAt(
            await ProblemAsync(Workflow(Returning("a", "import ms from 'ms';\nimport a from 'nowhere-to-be-had'"))),
            "step.mjs",
            2,
            15,
            "npm has no package 'nowhere-to-be-had'"
        );
        AssertAt(
            await ProblemAsync(Workflow(Returning("a", "import a from '@acme/none'"))),
            "step.mjs",
            1,
            15,
            "npm has no package '@acme/none'"
        );
        AssertAt(
            await ProblemAsync(Workflow(Returning("a", "import b from 'ms'; import a from 'ms@7'"))),
            "step.mjs",
            1,
            35,
            "the package 'ms' has no version '7'"
        );
        AssertAt(await ProblemAsync(Workflow(Returning("a", "import a from 'ms@npm:x'"))), "step.mjs", 1, 15, "ms@npm:x");
        AssertAt(await ProblemAsync(Workflow(Returning("a", "import a from 'ms/not-there.js'"))), "step.mjs", 1, 15, "Cannot find module");
        Assert.DoesNotContain(Installed, path => Path.GetFileName(path).StartsWith("new-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_package_that_another_needs_and_npm_does_not_have_is_named()
    {
        registry.Publish("ms", "2.1.0", [], """{ "dependencies": { "gone": "1.0.0" } }""");
        await StartAsync();

        AssertAt(await ProblemAsync(Workflow(Returning("a", "import a from 'ms'"))), "step.mjs", 1, 15, "gone");
    }

    [Fact]
    public async Task A_registry_that_is_not_reached_is_a_problem_that_says_so()
    {
        await StartAsync();
        await registry.DisposeAsync();
        AssertAt(
            await ProblemAsync(Workflow(Returning("a", "import a from 'ms'"))),
            "step.mjs",
            1,
            15,
            "npm cannot connect to its registry (ECONNREFUSED)"
        );
        registry = null!;
    }

    [Fact]
    public async Task Packages_over_the_size_or_the_time_are_refused()
    {
        registry.Publish("ms", "2.1.0", new() { ["index.js"] = new string(' ', 100_000) });
        await StartAsync(new EngineLimits { PackagesBytes = 50_000 });
        AssertAt(
            await ProblemAsync(Workflow(Returning("a", "import a from 'ms'"))),
            "step.mjs",
            1,
            15,
            "the packages use more than 50,000 bytes"
        );

        await StartAsync(new EngineLimits { PackagesTimeout = TimeSpan.FromMilliseconds(1) });
        AssertAt(await ProblemAsync(Workflow(Returning("a", "import a from 'ms'"))), "step.mjs", 1, 15, "npm did not install within");
        Assert.Empty(Installed);
    }

    [Fact]
    public async Task Install_scripts_run_for_packages_that_are_allowed_and_no_others()
    {
        const string manifest = """{ "scripts": { "install": "node -e \"fs.writeFileSync('made.js', 'module.exports = 1')\"" } }""";
        registry.Publish(
            "built",
            "1.0.0",
            new() { ["index.js"] = "try { module.exports = require('./made.js') } catch { module.exports = 0 }" },
            manifest
        );
        registry.Publish(
            "other",
            "1.0.0",
            new() { ["index.js"] = "try { module.exports = require('./made.js') } catch { module.exports = 0 }" },
            manifest
        );
        var files = Workflow(Returning("`${built} ${other}`", "import built from 'built'; import other from 'other';"));

        await StartAsync();
        Assert.Equal("0 0", await ValueAsync(await server!.DeployAsync("orders", files)));
        await StartAsync(new EngineLimits { PackagesAllowScripts = ["built"] });
        Assert.Equal("1 0", await ValueAsync(await server.DeployAsync("orders", files)));
    }

    [Fact]
    public async Task A_component_of_a_package_is_a_step_whose_errors_name_its_own_files()
    {
        registry.Publish(
            "@acme/axios",
            "1.0.0",
            new() { ["index.js"] = "module.exports = async ($, config) => { $.export('asked', config.url); return 'got ' + config.url; }" }
        );
        registry.Publish(
            "@acme/shop",
            "1.2.3",
            new()
            {
                ["shop.app.mjs"] = "export default { type: 'app', app: 'shop' };",
                ["actions/list/list.mjs"] = """
                import shop from "../../shop.app.mjs";
                import axios from "@acme/axios";
                export default {
                  key: "shop-list", type: "action", props: { shop, fail: { type: "boolean", optional: true } },
                  async run({ $ }) {
                    if (this.fail) throw new Error("sold out");
                    return axios($, { url: "http://shop.test/" });
                  },
                };
                """,
            },
            """{ "type": "module", "exports": {}, "dependencies": { "@acme/axios": "^1.0.0" } }"""
        );
        await StartAsync();
        const string uses = "npm:@acme/shop@1.2.3/actions/list/list.mjs";

        string hook = await server!.DeployAsync("orders", Workflow("", uses));
        var run = await server.RunAsync(hook);
        Assert.Equal("""{"asked":"http://shop.test/","$return_value":"got http://shop.test/"}""", run.Steps[0].Exports.GetRawText());

        var failing = Workflow("", uses);
        failing["workflow.yaml"] += "    props: { fail: true }\n";
        await server.DeployAsync("orders", failing);
        var error = (await server.RunAsync(hook)).Steps[0].Error!;
        Assert.Equal(("sold out", 6), (error.Message, error.Line));
        Assert.Contains("actions/list/list.mjs:6", error.Stack);

        AssertAt(
            await ProblemAsync(Workflow("", "npm:@acme/shop@9/actions/list/list.mjs")),
            "workflow.yaml",
            4,
            11,
            "the package '@acme/shop' has no version '9'"
        );
        AssertAt(await ProblemAsync(Workflow("", "npm:@acme/shop")), "workflow.yaml", 4, 11, "is not a file of an npm package");
    }

    [Fact]
    public async Task An_import_statement_in_a_step_of_the_older_style_is_a_problem_at_the_statement()
    {
        registry.Publish("ms", "2.1.0");
        await StartAsync();
        var files = Workflow("", "./step.js");
        files["step.js"] = "// a comment\nimport ms from 'ms';\nreturn ms;";

        AssertAt(await ProblemAsync(files), "step.js", 2, 1, "use `await import(\"package\")` or `require(\"package\")`");
    }

    [Fact]
    public async Task The_folders_own_manifest_says_what_an_import_without_a_version_means()
    {
        registry.Publish("ms", "1.0.0");
        registry.Publish("ms", "2.0.0");
        await StartAsync();
        var files = Workflow(Returning("ms", "import ms from 'ms'"));
        files["package.json"] = """{ "dependencies": { "ms": ">=1 <2" } }""";

        Assert.Equal("ms 1.0.0", await ValueAsync(await server!.DeployAsync("orders", files)));
    }
}
