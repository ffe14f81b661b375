using System.Security.Cryptography.X509Certificates;
using System.Text;
using Sendoff.Engine;
using Sendoff.Engine.Deliveries;

namespace Sendoff.Tests.Support;

/// <summary>A sender that can reach loopback, and its deliveries.</summary>
/// <param name="nameOf">Names of workflows.</param>
internal sealed class Sending(
    EngineLimits? limits = null,
    X509Certificate2Collection? roots = null,
    NameResolver? names = null,
    EgressOptions? egress = null,
    Func<WorkflowId, string?>? nameOf = null
) : IDisposable
{
    static readonly IdSequence ids = new(TimeProvider.System);

    /// <summary>A deadline that even a busy machine does not reach, so that tests fail only for their own cause.</summary>
    public static readonly EngineLimits Patient = new() { DeliveryDeadline = Wait.Limit };

    /// <summary>A deadline that is short enough to wait for, and long enough to connect and write on a busy machine.</summary>
    public static readonly EngineLimits Short = new() { DeliveryDeadline = TimeSpan.FromSeconds(1) };

    public static readonly EgressPolicy Loopback = new(["127.0.0.0/8", "::1"], []);

    public DeliverySender Sender { get; } = new(egress ?? Loopback, limits ?? Patient, TimeProvider.System, roots, names, nameOf);

    public Task<Attempt> SendAsync(HttpSend send, CancellationToken shutdown = default) =>
        Sender.SendAsync(DeliveryOf(send), 1, 0.5, shutdown);

    public Task<Attempt> GetAsync(string url) => SendAsync(new HttpSend("GET", url, [], default));

    public Task<Attempt> PostAsync(string url, string body = "hello") => SendAsync(Post(url, body));

    public static HttpSend Post(string url, string body = "hello") =>
        new("POST", url, [new Header("content-type", "text/plain")], Encoding.UTF8.GetBytes(body));

    public static Delivery DeliveryOf(HttpSend send, DeliveryStatus status = DeliveryStatus.Sending, RunId run = default) =>
        new(
            new DeliveryId(ids.Next()),
            run,
            WorkspaceId.Default,
            new WorkflowId(1),
            0,
            0,
            Destination.TryParse(send.Url, out var to, out _) ? to.Key : "",
            send,
            status
        );

    public void Dispose() => Sender.Dispose();
}

static class AttemptText
{
    public static string Text(this Attempt attempt) => Encoding.UTF8.GetString(attempt.Response!.Body.Span);
}
