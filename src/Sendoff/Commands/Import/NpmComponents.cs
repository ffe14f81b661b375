using Sendoff.Engine.Packages;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands.Import;

/// <summary>The packages <c>@pipedream/APP</c>. npm installs them like the packages of steps: in the sandbox, within the limits
/// <c>Packages:*</c>, without install scripts.</summary>
sealed class NpmComponents(Func<Settings> readSettings) : IComponentSource
{
    readonly Dictionary<string, (string? Root, string? WhyNot)> installed = [];
    (PackageFolder Packages, NodeRuntime Node)? prepared;
    bool isWarned;

    public string Name => "npm";

    public async Task<(CopiedComponent Component, string From)> FindAsync(RegistryKey key, CancellationToken ct)
    {
        if (!installed.TryGetValue(key.App, out var known))
            known = installed[key.App] = await InstallAsync(key.App, ct);
        if (known.Root is not { } root)
            throw new ComponentException(known.WhyNot!);
        var package = Open(root, key.App)!;
        string from = $"the npm package @pipedream/{key.App} {package.Version}";
        string path =
            package.Find(key) ?? throw new ComponentException($"{from["the npm ".Length..]} has no component with the key {key.Name}");
        return (new ComponentCopier(app => app == key.App ? package : Open(root, app)).Copy(package, path), from);
    }

    // A package is installed in its own folder; the apps that it depends on are beside it or in it.
    static ComponentFolder? Open(string packages, string app)
    {
        string folder = Path.Combine(packages, "node_modules", "@pipedream", app);
        return Directory.Exists(folder) ? new(app, folder) : null;
    }

    /// <summary>Installs the package like the package of a workflow's step.</summary>
    async Task<(string? Root, string? WhyNot)> InstallAsync(string app, CancellationToken ct)
    {
        var files = new Dictionary<string, string>
        {
            [WorkflowReader.YamlFile] =
                $"triggers: [ {{ type: http }} ]\nsteps: [ {{ namespace: step, uses: \"npm:@pipedream/{app}/index.js\" }} ]",
        };
        var (packages, node) = prepared ??= await PrepareAsync(ct);
        try
        {
            var made = await packages.InstallAsync(WorkflowReader.Read(app, files).Definition!, files, new SaidAtOnce(), ct);
            if (!isWarned && made.WithoutSandbox is { } why)
                PackageSetup.WarnWithoutSandbox(why);
            isWarned |= made.WithoutSandbox is not null;
            return made.Problems.Count > 0 ? (null, made.Problems[0].Message) : (made.Root, null);
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            throw PackageSetup.NotKept(node, x);
        }
    }

    async Task<(PackageFolder Packages, NodeRuntime Node)> PrepareAsync(CancellationToken ct)
    {
        var settings = readSettings();
        var node = await NodeSetup.EnsureAsync(settings, ct);
        return (PackageSetup.FolderOf(node, settings.Isolation, settings.Limits), node);
    }
}
