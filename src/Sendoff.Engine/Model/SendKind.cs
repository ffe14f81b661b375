namespace Sendoff.Engine.Model;

/// <summary>The kinds of destinations (F7), as a send's URL says them: <c>email:</c>, <c>emit:CHANNEL</c>, <c>sse:CHANNEL</c>,
/// <c>s3://BUCKET/PREFIX</c>; else http.</summary>
public enum SendKind
{
    Http,
    Email,
    Emit,
    Sse,
    S3,
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
            _ => SendKind.Http,
        };

    /// <summary>Where deliveries of the kind queue, as <see cref="Delivery.Destination"/> holds it. Emitted and streamed events queue by
    /// their workflow, one after the other: whoever listens gets them in the order of the calls.</summary>
    internal static string LaneOf(SendKind kind, WorkflowId workflow) =>
        kind switch
        {
            SendKind.Email => "email:",
            SendKind.Emit => $"emit:{workflow}",
            SendKind.Sse => $"sse:{workflow}",
            SendKind.S3 => "s3:",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "deliveries over HTTP queue by their own destination"),
        };

    internal static bool IsSerial(string lane) => KindOf(lane) is SendKind.Emit or SendKind.Sse;

    /// <summary>The channel in the URL of an emitted or streamed event; empty is none.</summary>
    public static string ChannelOf(string url) => Uri.UnescapeDataString(url[(url.IndexOf(':') + 1)..]);
}
