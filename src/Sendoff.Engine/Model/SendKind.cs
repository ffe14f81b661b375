namespace Sendoff.Engine.Model;

/// <summary>The kinds of destinations (F7), given by a send's URL: <c>email:</c>, <c>emit:CHANNEL</c>, <c>sse:CHANNEL</c>,
/// <c>s3://BUCKET/PREFIX</c>, <c>source:NAME</c> for the events of an event source; else http.</summary>
public enum SendKind
{
    Http,
    Email,
    Emit,
    Sse,
    S3,
    Source,
}

public static class SendKinds
{
    /// <summary>The kind of a send by its URL.</summary>
    public static SendKind KindOf(string url) =>
        url switch
        {
            ['h', ..] => SendKind.Http,
            ['e', 'm', 'a', 'i', 'l', ':', ..] => SendKind.Email,
            ['e', 'm', 'i', 't', ':', ..] => SendKind.Emit,
            ['s', 's', 'e', ':', ..] => SendKind.Sse,
            ['s', '3', ':', ..] => SendKind.S3,
            ['s', 'o', 'u', 'r', 'c', 'e', ':', ..] => SendKind.Source,
            _ => SendKind.Http,
        };

    /// <summary>The queue of deliveries of the kind, as in <see cref="Delivery.Destination"/>. Emitted and streamed events are queued per
    /// workflow, so that listeners receive them in call order.</summary>
    internal static string LaneOf(SendKind kind, WorkflowId workflow) =>
        kind switch
        {
            SendKind.Email => "email:",
            SendKind.Emit => $"emit:{workflow}",
            SendKind.Sse => $"sse:{workflow}",
            SendKind.S3 => "s3:",
            SendKind.Source => $"source:{workflow}",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "deliveries over HTTP queue by their own destination"),
        };

    internal static bool IsSerial(string lane) => KindOf(lane) is SendKind.Emit or SendKind.Sse or SendKind.Source;

    /// <summary>The channel in the URL of an emitted or streamed event; empty if there is none.</summary>
    public static string ChannelOf(string url) => Uri.UnescapeDataString(url[(url.IndexOf(':') + 1)..]);
}
