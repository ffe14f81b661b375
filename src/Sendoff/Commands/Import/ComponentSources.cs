namespace Sendoff.Commands.Import;

/// <summary>A component that was found, or the reason of each source that does not have it.</summary>
/// <param name="From">The name of the source that has it.</param>
/// <param name="Tried">The reasons of the earlier sources, in order.</param>
sealed record FoundComponent(CopiedComponent? Component, string? From, IReadOnlyList<string> Tried);

/// <summary>A source for the code of registry actions.</summary>
interface IComponentSource
{
    /// <exception cref="ComponentException">The source does not have the component, or it cannot be copied.</exception>
    Task<(CopiedComponent Component, string From)> FindAsync(RegistryKey key, CancellationToken ct);

    /// <summary>The name of the source, such as <c>npm</c>.</summary>
    string Name { get; }
}

/// <summary>Searches the sources in order, once for each action.</summary>
sealed class ComponentSources(IReadOnlyList<IComponentSource> sources)
{
    readonly Dictionary<RegistryKey, FoundComponent> found = [];

    public async Task<FoundComponent> FindAsync(RegistryKey key, CancellationToken ct)
    {
        if (found.TryGetValue(key, out var known))
            return known;
        var tried = new List<string>();
        foreach (var source in sources)
        {
            try
            {
                var (component, from) = await source.FindAsync(key, ct);
                return found[key] = new(component, from, tried);
            }
            catch (ComponentException x)
            {
                tried.Add($"{source.Name}: {x.Message}");
            }
        }
        return found[key] = new(null, null, tried);
    }
}

/// <summary>A source that is not configured.</summary>
sealed class NoComponents(string name, string why) : IComponentSource
{
    public string Name => name;

    public Task<(CopiedComponent Component, string From)> FindAsync(RegistryKey key, CancellationToken ct) =>
        throw new ComponentException(why);
}

/// <summary>A folder with apps in the layout of Pipedream's repository: <c>components/APP/actions/NAME/NAME.mjs</c>.</summary>
sealed class CheckoutComponents : IComponentSource
{
    readonly string given,
        root;

    public CheckoutComponents(string folder)
    {
        given = folder;
        if (!Directory.Exists(folder))
            throw new CommandException($"--components {folder}: there is no such folder", ExitCode.Usage);
        string below = Path.Combine(Path.GetFullPath(folder), "components");
        root = Directory.Exists(below) ? below : Path.GetFullPath(folder);
    }

    public string Name => "--components";

    public Task<(CopiedComponent Component, string From)> FindAsync(RegistryKey key, CancellationToken ct)
    {
        var app = Open(key.App) ?? throw new ComponentException($"{given} has no folder {key.App}");
        string path = app.Find(key) ?? throw new ComponentException($"{given} has no component with the key {key.Name} in {key.App}");
        return Task.FromResult((new ComponentCopier(Open).Copy(app, path), $"the folder {given}"));
    }

    ComponentFolder? Open(string app)
    {
        var folder = new DirectoryInfo(Path.Combine(root, app));
        if (!folder.Exists)
            return null;
        return folder.LinkTarget is null ? new(app, folder.FullName) : throw new ComponentException($"{given}/{app} is a symbolic link");
    }
}
