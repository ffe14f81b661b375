using Sendoff.Engine.Runs;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workers;
using Sendoff.Server.Api;

namespace Sendoff.Server;

/// <summary>An error response with what is wrong, where, and how to fix it (RFC 9457).</summary>
internal sealed class Problem(int status, string title, string detail) : IResult
{
    public int Status => status;
    public string Title => title;
    public string Detail => detail;

    /// <summary>Errors in a workflow's files.</summary>
    public IReadOnlyList<WorkflowProblemDocument>? Problems { get; init; }

    /// <summary>Seconds for <c>retry-after</c>.</summary>
    public int? RetryAfterSeconds { get; init; }

    public static Problem BadInput(string detail) => new(StatusCodes.Status400BadRequest, "Bad input", detail);

    public static Problem NotFound(string detail) => new(StatusCodes.Status404NotFound, "Not found", detail);

    public static Problem TooLarge(string detail) => new(StatusCodes.Status413PayloadTooLarge, "Too large", detail);

    /// <summary>The response for exceptions of the engine; null for an internal error.</summary>
    public static Problem? Of(Exception exception) =>
        exception switch
        {
            StoreUnavailableException e => new(StatusCodes.Status503ServiceUnavailable, "Store unavailable", e.Message)
            {
                RetryAfterSeconds = 5,
            },
            WorkerUnavailableException e => new(StatusCodes.Status503ServiceUnavailable, "No worker", e.Message) { RetryAfterSeconds = 30 },
            RunQueueFullException e => new(StatusCodes.Status429TooManyRequests, "Queue full", e.Message) { RetryAfterSeconds = 1 },
            TriggerKeyTakenException e => new(StatusCodes.Status409Conflict, "Trigger key taken", e.Message),
            SealedException e => new(StatusCodes.Status409Conflict, "Sealed", e.Message),
            BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } e => TooLarge(e.Message),
            BadHttpRequestException e => new(e.StatusCode, "Bad request", e.Message),
            // Kestrel throws this if a chunk size overflows.
            IOException { InnerException: OverflowException } e => new(StatusCodes.Status400BadRequest, "Bad request", e.Message),
            _ => null,
        };

    public Task ExecuteAsync(HttpContext context)
    {
        context.Response.StatusCode = status;
        if (RetryAfterSeconds is { } seconds)
            context.Response.Headers.RetryAfter = seconds.ToString();
        var document = new ProblemDocument(title, status, detail, Problems);
        return context.Response.WriteAsJsonAsync(document, options: null, "application/problem+json", context.RequestAborted);
    }
}
