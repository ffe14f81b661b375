using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Sendoff.Engine;
using Sendoff.Engine.Packages;

namespace Sendoff.Commands.Import;

/// <summary>Pipedream's API, with the user's key: <c>GET /v1/components/registry/KEY</c>. Used only if there is a key.</summary>
sealed class PipedreamApi : IComponentSource, IDisposable
{
    public const string KeyVariable = "PIPEDREAM_API_KEY",
        UrlVariable = "PIPEDREAM_API_URL";
    const string Default = "https://api.pipedream.com";

    readonly HttpClient http;

    PipedreamApi(Uri address, string key)
    {
        // A redirect could send the key to another server.
        http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            BaseAddress = address,
            Timeout = ComponentLimits.ApiTimeout,
            MaxResponseContentBufferSize = ComponentLimits.ApiBytes,
        };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    /// <summary>The API, if the environment has a key for it.</summary>
    public static PipedreamApi? FromEnvironment()
    {
        if (Environment.GetEnvironmentVariable(KeyVariable) is not { Length: > 0 } key)
            return null;
        if (key.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new CommandException($"{KeyVariable} contains characters that are not valid in a key; set it again", ExitCode.Usage);
        string url = Environment.GetEnvironmentVariable(UrlVariable) is { Length: > 0 } given ? given : Default;
        bool isSafe =
            Uri.TryCreate(url, UriKind.Absolute, out var address)
            && (address.Scheme == Uri.UriSchemeHttps || (address.Scheme == Uri.UriSchemeHttp && address.IsLoopback));
        if (!isSafe)
            throw new CommandException($"{UrlVariable} is '{url}'; give an https:// URL, because the key is sent to it", ExitCode.Usage);
        return new(address!, key);
    }

    public string Name => "Pipedream's API";

    public void Dispose() => http.Dispose();

    public async Task<(CopiedComponent Component, string From)> FindAsync(RegistryKey key, CancellationToken ct)
    {
        var answer = await GetAsync($"/v1/components/registry/{key.Name}", ct);
        var component = answer.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Object ? data : answer;
        if (ExportArchive.Text(component, "code") is not { Length: > 0 } code)
            throw new ComponentException("its response contains no code");
        if (code.Length > ComponentLimits.FileBytes)
            throw new ComponentException($"its code has more than {ComponentLimits.FileBytes:N0} characters");
        string path = $"{key.App}/{key.Folder}/{key.Action}/{key.Action}.mjs";
        ImportRewriting.Rewrite(
            path,
            code,
            static specifier =>
                specifier[0] is not ('.' or '/')
                    ? specifier
                    : throw new ComponentException($"its code imports '{specifier}', a file that the API does not return")
        );
        string? version = ExportArchive.Text(component, "version") ?? ComponentFolder.VersionOf(code);
        return (new(path, new Dictionary<string, string> { [path] = code }) { Version = version }, Name);
    }

    async Task<JsonElement> GetAsync(string path, CancellationToken ct)
    {
        try
        {
            using var response = await http.GetAsync(path, ct);
            return response.StatusCode switch
            {
                HttpStatusCode.OK => JsonSyntax.ParseForeign(await response.Content.ReadAsStringAsync(ct))
                    is { ValueKind: JsonValueKind.Object } read
                    ? read
                    : throw new ComponentException("its response is not a JSON object"),
                HttpStatusCode.NotFound => throw new ComponentException("it has no component with this key (404)"),
                HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => throw new ComponentException(
                    $"it refused the key in {KeyVariable} ({(int)response.StatusCode})"
                ),
                _ => throw new ComponentException($"it responded with {(int)response.StatusCode}"),
            };
        }
        catch (JsonException)
        {
            throw new ComponentException("its response is not JSON");
        }
        catch (HttpRequestException x) when (x.HttpRequestError == HttpRequestError.ConfigurationLimitExceeded)
        {
            throw new ComponentException($"its response has more than {ComponentLimits.ApiBytes:N0} bytes");
        }
        catch (HttpRequestException x)
        {
            throw new ComponentException($"it cannot be reached: {x.Message.TrimEnd('.')}");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new ComponentException($"it did not respond within {ComponentLimits.ApiTimeout.TotalSeconds:0} s");
        }
    }
}
