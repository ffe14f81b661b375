namespace Sendoff.Server.Triggers;

/// <summary>Common behaviour of endpoints for callers of workflows: responses are sandboxed, preflights are answered, and errors are logged
/// without the path, which may contain a key.</summary>
internal static class CallerEndpoint
{
    /// <param name="methods">The allowed methods for a preflight; null if <paramref name="answer"/> handles it.</param>
    /// <param name="path">The name of the endpoint in the log.</param>
    public static async Task HandleAsync(HttpContext context, string? methods, string path, ILogger log, Func<HttpContext, Task> answer)
    {
        ResponseHeaders.Sandbox(context);
        if (methods is not null && HttpMethods.IsOptions(context.Request.Method))
        {
            Cors.AnswerPreflight(context, methods);
            return;
        }
        try
        {
            await answer(context);
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            var problem = Problem.Of(e);
            if (problem is null)
                log.RequestFailed(e, context.Request.Method, path);
            await (problem ?? RequestErrors.Fault).ExecuteAsync(context);
        }
    }
}
