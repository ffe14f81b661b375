using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;

namespace Sendoff.Commands;

/// <summary>The server as the commands see it: its API, with the token found on the way.</summary>
sealed class ApiClient : IDisposable
{
    static readonly Option<string?> server = new("--server") { Description = "URL of the server (SENDOFF_SERVER; http://localhost:5180)", Recursive = true };
    static readonly Option<string?> token = new("--token") { Description = "Token (SENDOFF_TOKEN; the one in the data directory of this folder)", Recursive = true };
    static readonly Option<bool> json = new("--json") { Description = "Print the API's answer as it is", Recursive = true };

    readonly HttpClient http;
    readonly bool asJson;

    ApiClient(Uri address, string? bearer, bool asJson)
    {
        this.asJson = asJson;
        http = new HttpClient { BaseAddress = address };
        if (bearer is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
    }

    /// <summary>Gives a command, and those under it, the options that every call of the API takes.</summary>
    public static Command With(Command command)
    {
        command.Add(server);
        command.Add(token);
        command.Add(json);
        return command;
    }

    public static ApiClient From(ParseResult parsed)
    {
        string url = parsed.GetValue(server) ?? Environment.GetEnvironmentVariable("SENDOFF_SERVER") ?? "http://localhost:5180";
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw new CommandException($"--server {url}: expected a URL such as http://localhost:5180", ExitCode.Usage);
        string? bearer = parsed.GetValue(token) ?? Environment.GetEnvironmentVariable("SENDOFF_TOKEN") ?? TokenOfThisFolder();
        return new(address, bearer, parsed.GetValue(json));
    }

    /// <summary>The caller wants the API's answer as it is.</summary>
    public bool AsJson => asJson;

    public void Dispose() => http.Dispose();

    public Task<T?> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken ct) where T : class => SendAsync(HttpMethod.Get, path, null, type, ct);

    /// <summary>Calls the API. Null when the answer was printed as it is (<c>--json</c>); whatever is no success ends the command.</summary>
    public async Task<T?> SendAsync<T>(HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, CancellationToken ct) where T : class
    {
        string body = await SendAsync(method, path, content, ct);
        if (!asJson) return JsonSerializer.Deserialize(body, type);
        Console.Out.WriteLine(body);
        return null;
    }

    public async Task<string> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        try
        {
            using var response = await http.SendAsync(request, ct);
            string body = await response.Content.ReadAsStringAsync(ct);
            return response.IsSuccessStatusCode ? body : throw Refused(response.StatusCode, body);
        }
        catch (HttpRequestException x)
        {
            throw new CommandException($"no server answers at {http.BaseAddress}: {x.Message}. Start one with `sendoff serve`, or name another with --server", ExitCode.NoServer);
        }
    }

    /// <summary>Each line of the server's change stream, until <paramref name="ct"/>.</summary>
    public async IAsyncEnumerable<string> FollowAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        http.Timeout = Timeout.InfiniteTimeSpan;
        await using var stream = await http.GetStreamAsync("/api/v1/stream", ct);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        while (await reader.ReadLineAsync(ct) is { } line)
        {
            if (line.StartsWith("data:", StringComparison.Ordinal)) yield return line[5..].Trim();
        }
    }

    static CommandException Refused(HttpStatusCode status, string body)
    {
        if (status == HttpStatusCode.Unauthorized)
            return new("the server does not accept the token; give --token, or run this beside the server's data directory (.sendoff)", ExitCode.NoServer);
        try
        {
            var problem = JsonSerializer.Deserialize(body, ApiJson.Default.ProblemDocument)!;
            if (problem.Problems is { Count: > 0 } problems)
                ProblemPrinter.Print([.. problems.Select(p => new WorkflowProblem(p.Message, p.File, p.Line, p.Column, p.Source, p.Hint))]);
            // Forbidden: the token is known, and does not reach so far.
            return new(problem.Detail, status == HttpStatusCode.Forbidden ? ExitCode.NoServer : ExitCode.Usage);
        }
        catch (JsonException)
        {
            return new($"the server answered {(int)status}", ExitCode.NoServer);
        }
    }

    static string? TokenOfThisFolder()
    {
        string data = Environment.GetEnvironmentVariable("SENDOFF_Data") ?? ".sendoff";
        string path = Path.Combine(data, AdminToken.FileName);
        try
        {
            return File.Exists(path) ? File.ReadAllText(path).Trim() : null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }
}
