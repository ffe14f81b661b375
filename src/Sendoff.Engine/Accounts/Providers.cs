using System.Text.Json;
using System.Text.Json.Serialization;

namespace Sendoff.Engine.Accounts;

/// <summary>Public data of a provider: its OAuth 2.0 endpoints, or the static token of its apps.</summary>
/// <param name="Apps">Further apps of the provider; <c>*</c> at the end matches any text.</param>
/// <param name="Scopes">Scopes by app.</param>
/// <param name="Fields">Fields that the user enters; null for OAuth 2.0.</param>
/// <param name="Hint">How to get the static token.</param>
public sealed record Provider(
    string App,
    string Name,
    IReadOnlyList<string>? Apps,
    string? AuthorizeUrl,
    string? TokenUrl,
    ClientAuthentication? Authentication,
    string? Scope,
    IReadOnlyDictionary<string, string>? Scopes,
    IReadOnlyDictionary<string, string>? AuthorizeParameters,
    long? LifetimeSeconds,
    IReadOnlyList<string>? Fields,
    string? Hint
)
{
    public string ScopeOf(string app) => Scopes?.GetValueOrDefault(app) ?? Scope ?? "";

    internal bool Has(string app) =>
        app == App || Apps?.Any(one => one.EndsWith('*') ? app.StartsWith(one[..^1], StringComparison.Ordinal) : app == one) == true;
}

/// <summary>The known providers. For other providers, the user enters the URLs.</summary>
public static class Providers
{
    public static IReadOnlyList<Provider> All { get; } = Read();

    /// <summary>Null for an app of another provider.</summary>
    public static Provider? Find(string app) => All.FirstOrDefault(provider => provider.Has(app));

    static IReadOnlyList<Provider> Read()
    {
        using var file = typeof(Providers).Assembly.GetManifestResourceStream("Accounts/providers.json")!;
        return JsonSerializer.Deserialize(file, ProviderJson.Default.IReadOnlyListProvider)!;
    }
}

[JsonSourceGenerationOptions(UseStringEnumConverter = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<Provider>))]
sealed partial class ProviderJson : JsonSerializerContext;
