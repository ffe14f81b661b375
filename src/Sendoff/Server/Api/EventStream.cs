namespace Sendoff.Server.Api;

/// <summary>A streamed response: server-sent events.</summary>
internal static class EventStream
{
    /// <summary>Its headers. A proxy such as nginx would keep what is written until its buffer is full, and with a stream that is
    /// never.</summary>
    public static void Begin(HttpResponse response)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store";
        response.Headers["x-accel-buffering"] = "no";
    }
}
