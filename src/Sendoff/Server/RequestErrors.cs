using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Ui.Pages;

namespace Sendoff.Server;

/// <summary>Catches every exception of a request, and responds with problem details or the error page.</summary>
internal sealed class RequestErrors(RequestDelegate next, ILogger<RequestErrors> log)
{
    public static readonly Problem Fault = new(
        StatusCodes.Status500InternalServerError,
        "Internal error",
        "An internal error occurred. See the log of the server."
    );

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client has disconnected.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            var problem = Problem.Of(e);
            if (problem is null)
                log.RequestFailed(e, context.Request.Method, context.Request.Path);
            context.Response.Clear();
            await AnswerAsync(context, problem ?? Fault);
        }
    }

    static async Task AnswerAsync(HttpContext context, Problem problem)
    {
        if (!RequestKind.IsPage(context.Request))
        {
            await problem.ExecuteAsync(context);
            return;
        }
        // The renderer of the failed page cannot render again, so a new scope is used.
        await using var scope = context.RequestServices.CreateAsyncScope();
        context.RequestServices = scope.ServiceProvider;
        var page = new RazorComponentResult<ErrorPage>(
            new Dictionary<string, object?> { ["Title"] = problem.Title, ["Detail"] = problem.Detail }
        )
        {
            StatusCode = problem.Status,
        };
        await page.ExecuteAsync(context);
    }
}
