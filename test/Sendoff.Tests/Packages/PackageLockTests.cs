using System.Text.Json.Nodes;
using Sendoff.Engine.Packages;

namespace Sendoff.Tests.Packages;

/// <summary>Whoever deploys may write a lock: it is used when every part of it leads to the registry, and npm is given nothing else of
/// it.</summary>
public sealed class PackageLockTests
{
    const string Sum = "sha512-41Cifkg6e8TylSpdtTpeLVMqvSBEVzTttHvERD741+pnZ8ANv0004MRL43QKPDlK9cGvNp6NZWZUBlbGXYxxng==";

    static JsonObject Lock() =>
        JsonNode
            .Parse(
                $$$"""
                {
                  "name": "packages", "lockfileVersion": 3, "requires": true,
                  "packages": {
                    "": { "name": "packages", "dependencies": { "ms": "2.1.0", "sendoff-1": "npm:ms@1.0.0", "@acme/tool": "3.0.0" } },
                    "node_modules/ms": { "version": "2.1.0", "integrity": "{{{Sum}}}", "license": "MIT", "engines": { "node": "*" } },
                    "node_modules/sendoff-1": { "name": "ms", "version": "1.0.0", "integrity": "{{{Sum}}}" },
                    "node_modules/@acme/tool": {
                      "version": "3.0.0-rc.1+build", "integrity": "{{{Sum}}}", "bin": { "tool": "bin/tool.js" },
                      "dependencies": { "ms": "^1.0.0 || >=2 <3", "other": "npm:@acme/real@~1.2" }, "peerDependencies": { "ms": "*" }
                    },
                    "node_modules/@acme/tool/node_modules/ms": { "version": "1.0.0", "inBundle": true }
                  },
                  "asked": { "ms": "2", "sendoff-1": "npm:ms@1", "@acme/tool": "latest" }
                }
                """
            )!
            .AsObject();

    static readonly JsonObject Asked = Lock()["asked"]!.AsObject();

    [Fact]
    public void A_lock_of_the_registrys_packages_is_used() =>
        Assert.Equal(
            """{"ms":"2.1.0","sendoff-1":"npm:ms@1.0.0","@acme/tool":"3.0.0"}""",
            PackageLock.Exact(Lock().ToJsonString(), Asked)?.ToJsonString()
        );

    [Theory]
    [InlineData("", "dependencies", """{ "ms": "http://127.0.0.1:1/evil.tgz" }""")]
    [InlineData("", "dependencies", """{ "ms": "git+http://127.0.0.1:1/evil.git" }""")]
    [InlineData("", "dependencies", """{ "ms": "acme/ms" }""")]
    [InlineData("", "dependencies", """{ "ms": "github:acme/ms#main" }""")]
    [InlineData("", "dependencies", """{ "ms": "git@host:acme/ms.git" }""")]
    [InlineData("", "dependencies", """{ "ms": "file:../../data" }""")]
    [InlineData("", "dependencies", """{ "ms": ".." }""")]
    [InlineData("", "dependencies", """{ "ms": " .." }""")]
    [InlineData("", "dependencies", """{ "ms": "~/data" }""")]
    [InlineData("", "dependencies", """{ "ms": "evil.tgz" }""")]
    [InlineData("", "dependencies", """{ "ms": "link:../x" }""")]
    [InlineData("", "dependencies", """{ "ms": "workspace:*" }""")]
    [InlineData("", "dependencies", """{ "ms": "npm:ms@http://127.0.0.1:1/evil.tgz" }""")]
    [InlineData("", "dependencies", """{ "ms": "npm:http://127.0.0.1:1/evil.tgz" }""")]
    [InlineData("", "dependencies", """{ "http://127.0.0.1:1/evil.tgz": "2.1.0" }""")]
    [InlineData("", "dependencies", """{ "../ms": "2.1.0" }""")]
    [InlineData("", "dependencies", """[ "ms" ]""")]
    [InlineData("", "optionalDependencies", """{ "evil": "http://127.0.0.1:1/evil.tgz" }""")]
    [InlineData("", "peerDependencies", """{ "evil": "http://127.0.0.1:1/evil.tgz" }""")]
    [InlineData("node_modules/ms", "dependencies", """{ "evil": "http://127.0.0.1:1/evil.tgz" }""")]
    [InlineData("node_modules/ms", "optionalDependencies", """{ "evil": "git+ssh://127.0.0.1:1/evil.git" }""")]
    [InlineData("node_modules/ms", "peerDependencies", """{ "evil": "127.0.0.1:1/evil" }""")]
    [InlineData("node_modules/ms", "version", "\"http://127.0.0.1:1/evil.tgz\"")]
    [InlineData("node_modules/ms", "version", "\"git+http://127.0.0.1:1/evil.git\"")]
    [InlineData("node_modules/ms", "version", "\"latest\"")]
    [InlineData("node_modules/ms", "version", "2")]
    [InlineData("node_modules/ms", "version", "null")]
    [InlineData("node_modules/ms", "name", "\"ms@http://127.0.0.1:1/evil.tgz\"")]
    [InlineData("node_modules/ms", "name", "7")]
    [InlineData("node_modules/ms", "resolved", "\"http://127.0.0.1:1/evil.tgz\"")]
    [InlineData("node_modules/ms", "resolved", "\"file:../../x.tgz\"")]
    [InlineData("node_modules/ms", "link", "true")]
    [InlineData("node_modules/ms", "integrity", "null")]
    [InlineData("node_modules/ms", "integrity", "\"\"")]
    [InlineData("node_modules/ms", "integrity", "\"md5-AAAA\"")]
    [InlineData("node_modules/ms", "bin", """{ "x": "../../../../data/secret-key" }""")]
    [InlineData("node_modules/ms", "bin", """{ "../x": "x.js" }""")]
    [InlineData("node_modules/ms", "bin", "\"/etc/passwd\"")]
    public void A_lock_that_leads_anywhere_else_is_not_used(string path, string field, string value)
    {
        var bent = Lock();
        bent["packages"]![path]![field] = JsonNode.Parse(value);
        Assert.Null(PackageLock.Exact(bent.ToJsonString(), Asked));
        Assert.NotNull(PackageLock.WhyForeign(bent.ToJsonString()));
    }

    [Theory]
    [InlineData("node_modules/../../x")]
    [InlineData("/node_modules/x")]
    [InlineData("../x")]
    [InlineData("packages/x")]
    [InlineData("node_modules/x/../../../y")]
    [InlineData("node_modules/.bin/x")]
    [InlineData("node_modules\\x")]
    [InlineData("node_modules/x\n")]
    public void A_lock_with_a_package_outside_of_its_folder_is_not_used(string path)
    {
        var bent = Lock();
        bent["packages"]![path] = bent["packages"]!["node_modules/ms"]!.DeepClone();
        Assert.Null(PackageLock.Exact(bent.ToJsonString(), Asked));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("""{ "packages": [] }""")]
    [InlineData("""{ "packages": { "": null }, "asked": {} }""")]
    [InlineData("""{ "packages": {}, "packages": {} }""")]
    [InlineData("""{ "packages": { "node_modules/a": { "version": "1.0.0", "version": "http://x/" } } }""")]
    public void What_is_no_lock_is_not_used_and_stops_nothing(string text)
    {
        Assert.Null(PackageLock.Exact(text, Asked));
        Assert.Empty(PackageLock.WithScripts(text));
        Assert.NotNull(PackageLock.FolderName(text, []));
        _ = PackageLock.Count(text);
    }

    [Fact]
    public void A_lock_nested_deeper_than_any_is_no_lock() =>
        Assert.Null(
            PackageLock.Count($$"""{ "packages": {{string.Concat(Enumerable.Repeat("{\"a\":", 50_000))}}1{{new string('}', 50_000)}} }""")
        );

    [Fact]
    public void Npm_is_given_no_field_that_was_not_looked_at()
    {
        var odd = Lock();
        odd["dependencies"] = JsonNode.Parse("""{ "ms": { "version": "http://127.0.0.1:1/evil.tgz" } }""");
        odd["lockfileVersion"] = 1;
        odd["packages"]!["node_modules/ms"]!["hasShrinkwrap"] = true;
        odd["packages"]!["node_modules/ms"]!["scripts"] = JsonNode.Parse("""{ "install": "evil" }""");
        odd["packages"]![""]!["workspaces"] = JsonNode.Parse("""[ "../../data" ]""");
        odd["packages"]![""]!["overrides"] = JsonNode.Parse("""{ "ms": "http://127.0.0.1:1/evil.tgz" }""");

        string given = PackageLock.ForNpm(odd.ToJsonString());

        Assert.Equal(["name", "lockfileVersion", "requires", "packages"], JsonNode.Parse(given)!.AsObject().Select(field => field.Key));
        Assert.Equal(3, JsonNode.Parse(given)!["lockfileVersion"]!.GetValue<int>());
        foreach (string gone in (string[])["hasShrinkwrap", "scripts", "workspaces", "overrides", "evil", "127.0.0.1"])
            Assert.DoesNotContain(gone, given);
    }
}
