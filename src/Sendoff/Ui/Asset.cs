using System.Security.Cryptography;

namespace Sendoff.Ui;

/// <summary>A style sheet or script of the pages. Its URL changes with its content, so that browsers can cache it.</summary>
internal sealed class Asset
{
    readonly byte[] content;
    readonly string type;
    readonly bool isOpen;

    /// <param name="prefix">Prefix of the resources that are joined, in the order of their names.</param>
    /// <param name="isOpen">Served without authentication.</param>
    public Asset(string name, string prefix, string type, bool isOpen = false)
    {
        (content, this.type, this.isOpen) = (Read(prefix), type, isOpen);
        Path = $"/assets/{Convert.ToHexStringLower(SHA256.HashData(content))[..12]}/{name}";
    }

    public string Path { get; }

    public void Map(IEndpointRouteBuilder app)
    {
        var route = app.MapGet(
                Path,
                (HttpResponse response) =>
                {
                    response.Headers.CacheControl = "public, max-age=31536000, immutable";
                    return TypedResults.Bytes(content, type);
                }
            )
            .ExcludeFromDescription();
        if (isOpen)
            route.AllowAnonymous();
    }

    static byte[] Read(string prefix)
    {
        var all = new MemoryStream();
        var assembly = typeof(Asset).Assembly;
        foreach (
            string name in assembly
                .GetManifestResourceNames()
                .Where(name => name.StartsWith(prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
        )
        {
            using var part = assembly.GetManifestResourceStream(name)!;
            part.CopyTo(all);
        }
        return all.ToArray();
    }
}
