namespace Sendoff.Ui;

/// <summary>The status of a rendered page.</summary>
internal static class PageStatus
{
    /// <summary>Sets 404 when the response starts, because the renderer renders nothing while the status is 404.</summary>
    public static void NotFound(HttpContext context) =>
        context.Response.OnStarting(() =>
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
}
