using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine.Packages;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands.Import;

/// <summary>The packages <c>@pipedream/APP</c>. npm installs them as it installs the packages of steps: in the sandbox, within the limits
/// <c>Packages:*</c>, without install scripts.</summary>
sealed class NpmComponents(Func<Settings> readSettings) : IComponentSource
{
    readonly Dictionary<string, (string? Root, string? WhyNot)> installed = [];
    Func<WorkflowDefinition, IReadOnlyDictionary<string, string>, CancellationToken, Task<InstalledPackages>>? install;

    public string Name => "npm";

    public async Task<(CopiedComponent Component, string From)> FindAsync(RegistryKey key, CancellationToken ct)
    {
        if (!installed.TryGetValue(key.App, out var known)) known = installed[key.App] = await InstallAsync(key.App, ct);
        if (known.Root is not { } root) throw new ComponentException(known.WhyNot!);
        var package = Open(root, key.App)!;
        string from = $"the npm package @pipedream/{key.App} {package.Version}";
        string path = package.FindAction(key) ?? throw new ComponentException($"{from["the npm ".Length..]} has no component with the key {key.Name}");
        return (new ComponentCopier(app => app == key.App ? package : Open(root, app)).Copy(package, path), from);
    }

    // A package is installed into a folder of its own, with the apps that it depends on beside it or below it.
    static ComponentFolder? Open(string packages, string app)
    {
        string folder = Path.Combine(packages, "node_modules", "@pipedream", app);
        return Directory.Exists(folder) ? new(app, folder) : null;
    }

    /// <summary>As a workflow that has a step of the package would.</summary>
    async Task<(string? Root, string? WhyNot)> InstallAsync(string app, CancellationToken ct)
    {
        var files = new Dictionary<string, string> { [WorkflowReader.YamlFile] = $"triggers: [ {{ type: http }} ]\nsteps: [ {{ namespace: step, uses: \"npm:@pipedream/{app}/index.js\" }} ]" };
        install ??= await PrepareAsync(ct);
        var made = await install(WorkflowReader.Read(app, files).Definition!, files, ct);
        return made.Problems.Count > 0 ? (null, made.Problems[0].Message) : (made.Root, null);
    }

    async Task<Func<WorkflowDefinition, IReadOnlyDictionary<string, string>, CancellationToken, Task<InstalledPackages>>> PrepareAsync(CancellationToken ct)
    {
        var settings = readSettings();
        var node = await NodeSetup.EnsureAsync(settings, ct);
        var packages = new PackageFolder(Path.Combine(node.CacheFolder, "packages"), node, settings.Isolation, settings.Limits, NullLogger<PackageFolder>.Instance);
        bool warned = false;
        return async (definition, files, ct) =>
        {
            try
            {
                var made = await packages.InstallAsync(definition, files, new SaidAtOnce(), ct);
                if (!warned && made.WithoutSandbox is { } why) PackageSetup.WarnWithoutSandbox(why);
                warned |= made.WithoutSandbox is not null;
                return made;
            }
            catch (Exception x) when (x is IOException or UnauthorizedAccessException)
            {
                throw new CommandException($"packages cannot be kept in {node.CacheFolder}: {x.Message}", ExitCode.Usage);
            }
        };
    }
}
