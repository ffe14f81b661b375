namespace Sendoff.Server.Triggers;

/// <summary>What all addresses for callers of workflows have alike: responses are sandboxed, preflights are answered, and faults are logged
/// without the path, which may hold a key.</summary>
internal static class CallerEndpoint
{
    /// <param name="methods">What a preflight is told; null where <paramref name="answer"/> answers it.</param>
    /// <param name="path">What the log calls the address.</param>
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
