namespace Sendoff.Server.Api;

/// <summary>A streamed response: server-sent events.</summary>
internal static class EventStream
{
    /// <summary>Sets the headers of a stream. A proxy such as nginx would otherwise buffer the response, and a stream may never fill the
    /// buffer.</summary>
    public static void Begin(HttpResponse response)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["x-accel-buffering"] = "no";
    }
}
