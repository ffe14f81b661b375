namespace Sendoff.Server.Api;

/// <summary>An answer that goes on: server-sent events.</summary>
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
