using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sendoff.Engine.Workflows;
using Sendoff.Server.Api;
using Sendoff.Server.Auth;
using Spectre.Console;

namespace Sendoff.Commands;

/// <summary>Client of the server's API. It finds the token itself.</summary>
sealed class ApiClient : IDisposable
{
    static readonly Option<string?> server = new("--server")
    {
        Description = "URL of the server (default: SENDOFF_SERVER, or http://localhost:5180)",
        Recursive = true,
    };
    static readonly Option<string?> token = new("--token")
    {
        Description = "Token (default: SENDOFF_TOKEN, or the token in the data directory of this folder)",
        Recursive = true,
    };
    static readonly Option<bool> json = new("--json") { Description = "Print the JSON response of the API", Recursive = true };

    static readonly TimeSpan connectLimit = TimeSpan.FromSeconds(15),
        saidEvery = TimeSpan.FromSeconds(10);

    readonly HttpClient http;
    readonly bool asJson;
    readonly FoundToken found;

    /// <summary>The token, and the error message if the server refuses it.</summary>
    sealed record FoundToken(string? Text, string Refusal);

    ApiClient(Uri address, FoundToken found, bool asJson)
    {
        (this.found, this.asJson) = (found, asJson);
        // No timeout: npm, a run and a resume can take minutes, and the server limits them.
        http = new HttpClient(new SocketsHttpHandler { ConnectTimeout = connectLimit, UseCookies = false })
        {
            BaseAddress = address,
            Timeout = Timeout.InfiniteTimeSpan,
        };
        if (found.Text is { } bearer)
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
    }

    /// <summary>Adds the options of API calls to a command and its subcommands.</summary>
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
        var found =
            Given(parsed.GetValue(token), "--token")
            ?? Given(Environment.GetEnvironmentVariable("SENDOFF_TOKEN"), "SENDOFF_TOKEN")
            ?? TokenOfThisFolder();
        if (found.Text is { } bearer && bearer.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw new CommandException("the token has invalid characters; check --token or SENDOFF_TOKEN", ExitCode.Usage);
        return new(address, found, parsed.GetValue(json));
    }

    /// <summary>Print the unchanged response of the API.</summary>
    public bool AsJson => asJson;

    public void Dispose() => http.Dispose();

    public Task<T?> GetAsync<T>(string path, JsonTypeInfo<T> type, CancellationToken ct)
        where T : class => SendAsync(HttpMethod.Get, path, null, type, ct);

    /// <summary>Calls the API. Returns null if the response was printed unchanged (<c>--json</c>). A failed call ends the
    /// command.</summary>
    public async Task<T?> SendAsync<T>(HttpMethod method, string path, HttpContent? content, JsonTypeInfo<T> type, CancellationToken ct)
        where T : class
    {
        string body = await SendAsync(method, path, content, ct);
        if (!asJson)
            return Read(body, type);
        Output.Result(body);
        return null;
    }

    /// <summary>Parses a response of the API. An invalid response ends the command.</summary>
    public T Read<T>(string body, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(body, (JsonTypeInfo<T>)strict.GetTypeInfo(type.Type))
                ?? throw new JsonException("it is null");
        }
        catch (JsonException)
        {
            throw NotSendoff("it is not a response of the API");
        }
    }

    /// <summary>Reads the API's JSON; required fields must be present.</summary>
    static readonly JsonSerializerOptions strict = new(ApiJson.Default.Options)
    {
        RespectNullableAnnotations = true,
        TypeInfoResolver = ApiJson.Default.WithAddedModifier(static type =>
        {
            foreach (var property in type.Properties)
                property.IsRequired |= property is { IsSetNullable: false, PropertyType.IsValueType: false };
        }),
    };

    CommandException NotSendoff(string why) =>
        new($"{http.BaseAddress} is not a Sendoff server: {why}. Set the server with --server", ExitCode.NoServer);

    public async Task<string> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        try
        {
            var answering = AnswerAsync(request, ct);
            for (
                int waited = 1;
                await Task.WhenAny(answering, Task.Delay(saidEvery, ct)) != answering && !ct.IsCancellationRequested;
                waited++
            )
                Output.Progress.MarkupLineInterpolated(
                    $"[grey]waiting for {http.BaseAddress}, {waited * saidEvery.TotalSeconds:0} s; press Ctrl+C to stop[/]"
                );
            var (status, body) = await answering;
            return (int)status is >= 200 and < 300 ? body : throw Refused(status, body);
        }
        catch (HttpRequestException x)
        {
            throw NoAnswer(x);
        }
    }

    /// <summary>Copies the response of the API, of any size.</summary>
    public async Task CopyAsync(string path, Stream output, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await OpenAsync(request, ct);
        try
        {
            await response.Content.CopyToAsync(output, ct);
        }
        catch (HttpRequestException x)
        {
            throw new CommandException(
                $"{http.BaseAddress} ended the response before it was complete: {x.Message.TrimEnd('.')}",
                ExitCode.NoServer
            );
        }
    }

    async Task<(HttpStatusCode Status, string Body)> AnswerAsync(HttpRequestMessage request, CancellationToken ct)
    {
        using var response = await http.SendAsync(request, ct);
        try
        {
            return (response.StatusCode, await response.Content.ReadAsStringAsync(ct));
        }
        catch (InvalidOperationException)
        {
            throw NotSendoff("its response has an unknown charset");
        }
    }

    CommandException NoAnswer(Exception reason) =>
        new(
            $"no server responds at {http.BaseAddress}: {reason.Message.TrimEnd('.')}. Start one with `sendoff serve`, "
                + "or set another with --server",
            ExitCode.NoServer
        );

    /// <summary>Each line of the server's change stream, until <paramref name="ct"/>.</summary>
    public async IAsyncEnumerable<string> FollowAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/stream");
        using var response = await OpenAsync(request, ct);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(ct), Encoding.UTF8);
        while (await NextLineAsync(reader, ct) is { } line)
        {
            if (line.StartsWith("data:", StringComparison.Ordinal))
                yield return line[5..].Trim();
        }
        if (!ct.IsCancellationRequested)
            throw new CommandException(
                $"{http.BaseAddress} ended the stream: it is shutting down, or the connection was lost",
                ExitCode.NoServer
            );
    }

    async Task<HttpResponseMessage> OpenAsync(HttpRequestMessage request, CancellationToken ct)
    {
        try
        {
            var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            return response.IsSuccessStatusCode
                ? response
                : throw Refused(response.StatusCode, await response.Content.ReadAsStringAsync(ct));
        }
        catch (HttpRequestException x)
        {
            throw NoAnswer(x);
        }
    }

    // Null at the end of the stream, and when the command is stopped.
    static async Task<string?> NextLineAsync(StreamReader reader, CancellationToken ct)
    {
        try
        {
            return await reader.ReadLineAsync(ct);
        }
        catch (Exception x) when (x is IOException or HttpRequestException or OperationCanceledException)
        {
            return null;
        }
    }

    CommandException Refused(HttpStatusCode status, string body)
    {
        if (status == HttpStatusCode.Unauthorized)
            return new(found.Refusal, ExitCode.NoServer);
        if (ProblemOf(body) is not { } problem)
            return NotSendoff($"it returned status {(int)status}");
        if (problem.Problems is { Count: > 0 } listed)
        {
            WorkflowProblem[] problems =
            [
                .. listed.Select(p => new WorkflowProblem(p.Message, p.File, p.Line, p.Column, p.Source, p.Hint)),
            ];
            ProblemPrinter.Print(problems);
            // The detail only repeats the first problem.
            return new($"{problem.Title}: {ProblemPrinter.Count(problems)}, see above", ExitCode.Usage);
        }
        // Forbidden: the token is valid, but its scope is too small. 500 and above: the server failed.
        return new(problem.Detail, status == HttpStatusCode.Forbidden || (int)status >= 500 ? ExitCode.NoServer : ExitCode.Usage);
    }

    static ProblemDocument? ProblemOf(string body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, ApiJson.Default.ProblemDocument) is { Detail: not null } problem ? problem : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    const string HowToGive =
        "Set one with --token or SENDOFF_TOKEN, or run the command in the folder in which the server was started: "
        + "it contains the data directory (.sendoff)";

    static FoundToken? Given(string? text, string by) =>
        string.IsNullOrEmpty(text)
            ? null
            : new(text, $"the server does not accept the token from {by}; an admin can list the valid tokens with `sendoff tokens list`");

    static FoundToken TokenOfThisFolder()
    {
        string path = Path.GetFullPath(Path.Combine(Environment.GetEnvironmentVariable("SENDOFF_Data") ?? ".sendoff", AdminToken.FileName));
        try
        {
            return new(
                File.ReadAllText(path).Trim(),
                $"the server does not accept the token in {path}: it has another data directory, or Auth:Token is set. {HowToGive}"
            );
        }
        catch (Exception x) when (x is FileNotFoundException or DirectoryNotFoundException)
        {
            return new(null, $"no token: there is no {path}. {HowToGive}");
        }
        catch (Exception x) when (x is IOException or UnauthorizedAccessException)
        {
            return new(null, $"no token: {path} cannot be read by this user. {HowToGive}");
        }
    }
}
