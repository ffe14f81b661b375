namespace Sendoff.Server;

/// <summary>Reads the form of a page's request before its endpoint, so that an invalid form gets 400 in one place.</summary>
internal sealed class FormGate(RequestDelegate next)
{
    public async Task InvokeAsync(HttpContext context)
    {
        // The API reads its bodies itself, whatever their content type is.
        if (RequestKind.IsPage(context.Request) && context.Request.HasFormContentType)
            await ReadAsync(context);
        await next(context);
    }

    static async Task ReadAsync(HttpContext context)
    {
        try
        {
            await context.Request.ReadFormAsync(context.RequestAborted);
        }
        catch (Exception e)
            when (e is (InvalidDataException or IOException or NotSupportedException or ArgumentException) and not BadHttpRequestException)
        {
            throw new BadHttpRequestException($"The form cannot be read: {e.Message}", StatusCodes.Status400BadRequest, e);
        }
    }
}
