using System.Collections.Concurrent;
using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Support;

/// <summary>An npm registry on loopback with the packages that a test publishes, and an npm that uses only this registry.</summary>
sealed class NpmRegistry : IAsyncDisposable
{
    readonly WebApplication app;
    readonly TempFolder home = new();
    readonly ConcurrentDictionary<string, ConcurrentDictionary<string, (JsonObject Manifest, byte[] Tarball)>> packages = [];
    int requests;
    bool isDisposed;

    NpmRegistry(WebApplication app)
    {
        this.app = app;
        app.Run(AnswerAsync);
    }

    /// <summary>The host in the URLs of tarballs; null for this registry.</summary>
    public string? TarballsAt { get; set; }

    /// <summary>Further variables for npm, which take precedence.</summary>
    public Dictionary<string, string> Variables { get; } = [];

    /// <summary>Number of requests by npm.</summary>
    public int Requests => Volatile.Read(ref requests);
    public string Url => app.Urls.First() + "/";
    public IReadOnlyDictionary<string, string> Environment =>
        new Dictionary<string, string>([
            new("npm_config_registry", Url),
            new("npm_config_cache", Path.Combine(home.Path, "cache")),
            new("npm_config_fetch_retries", "0"),
            .. Variables.ContainsKey("npm_config_userconfig")
                ? []
                : new Dictionary<string, string> { ["npm_config_userconfig"] = Path.Combine(home.Path, "npmrc") },
            .. Variables,
        ]);
    public NodeRuntime Node => new(new NodeOptions { NpmEnvironment = Environment }, NullLogger<NodeRuntime>.Instance);

    public static async Task<NpmRegistry> StartAsync()
    {
        Assert.SkipUnless(HasNpm, "there is no npm on the PATH");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var registry = new NpmRegistry(builder.Build());
        await registry.app.StartAsync();
        return registry;
    }

    static bool HasNpm =>
        (System.Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Any(folder => File.Exists(Path.Combine(folder, "npm")));

    /// <summary>Publishes a version and makes it the newest.</summary>
    public void Publish(string name, string version, Dictionary<string, string> files, string manifest = "{}")
    {
        var document = JsonNode.Parse(manifest)!.AsObject();
        (document["name"], document["version"]) = (name, version);
        packages.GetOrAdd(name, _ => [])[version] = (document, Pack(files, document));
    }

    /// <summary>Publishes a CommonJS package that exports a string.</summary>
    public void Publish(string name, string version) =>
        Publish(name, version, new() { ["index.js"] = $"module.exports = '{name} {version}'" });

    /// <summary>Removes a package with all versions.</summary>
    public void Unpublish(string name) => Assert.True(packages.TryRemove(name, out _));

    static byte[] Pack(Dictionary<string, string> files, JsonObject manifest)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        using (var tar = new TarWriter(gzip))
        {
            foreach (var (path, text) in files.Append(new("package.json", manifest.ToJsonString())))
                tar.WriteEntry(
                    new PaxTarEntry(TarEntryType.RegularFile, "package/" + path)
                    {
                        DataStream = new MemoryStream(Encoding.UTF8.GetBytes(text)),
                    }
                );
        }
        return packed.ToArray();
    }

    Task AnswerAsync(HttpContext context)
    {
        Interlocked.Increment(ref requests);
        string[] path = Uri.UnescapeDataString(context.Request.Path.Value!.TrimStart('/')).Split("/-/");
        if (!packages.TryGetValue(path[0], out var versions))
        {
            context.Response.StatusCode = 404;
            return context.Response.WriteAsJsonAsync(new { error = "Not found" });
        }
        return path.Length == 2
            ? context.Response.Body.WriteAsync(versions[path[1]].Tarball).AsTask()
            : context.Response.WriteAsync(Describe(path[0], versions));
    }

    string Describe(string name, IReadOnlyDictionary<string, (JsonObject Manifest, byte[] Tarball)> versions)
    {
        var all = new JsonObject();
        foreach (var (version, (manifest, tarball)) in versions)
        {
            var one = manifest.DeepClone();
            one["dist"] = new JsonObject
            {
                ["tarball"] = $"{TarballsAt ?? Url}{name}/-/{version}",
                ["integrity"] = "sha512-" + Convert.ToBase64String(SHA512.HashData(tarball)),
            };
            if (manifest["scripts"]?["install"] is not null)
                one["hasInstallScript"] = true;
            all[version] = one;
        }
        string newest = versions.Keys.MaxBy(Version.Parse)!;
        return new JsonObject
        {
            ["name"] = name,
            ["dist-tags"] = new JsonObject { ["latest"] = newest },
            ["versions"] = all,
        }.ToJsonString();
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref isDisposed, true))
            return;
        await app.DisposeAsync();
        home.Dispose();
    }
}
