namespace Sendoff.Ui;

/// <summary>The status of a page that is drawn.</summary>
internal static class PageStatus
{
    /// <summary>404, set as the page leaves: the renderer draws nothing of a page whose status is 404 while it works.</summary>
    public static void NotFound(HttpContext context) =>
        context.Response.OnStarting(() =>
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
}
