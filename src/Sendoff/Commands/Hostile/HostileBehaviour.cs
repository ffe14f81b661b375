using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace Sendoff.Commands.Hostile;

/// <summary>The expected record of a delivery to a behaviour.</summary>
/// <param name="Response">The status that is on record; null when there is none.</param>
sealed record HostileReport(DeliveryStatus Status, int? Response, AttemptErrorCode? Code = null, AttemptPhase? Phase = null)
{
    /// <summary>What the error's message says, where it is one of several reasons.</summary>
    public string? Says { get; init; }

    /// <summary>Less is kept of the body than there was.</summary>
    public bool Truncated { get; init; }

    /// <summary>The body is not text, so it is stored as bytes.</summary>
    public bool AsBytes { get; init; }

    /// <summary>The connection is used for the next delivery.</summary>
    public bool KeepsConnection { get; init; }

    public static HostileReport TimesOut(AttemptPhase phase, int? response = null) =>
        new(DeliveryStatus.Failed, response, AttemptErrorCode.Timeout, phase);

    public static HostileReport Fails(AttemptErrorCode code, AttemptPhase phase, int? response = null, string? says = null) =>
        new(DeliveryStatus.Failed, response, code, phase) { Says = says };

    /// <summary>A response whose status determines the result of the delivery.</summary>
    public static HostileReport Answered(int status, bool keeps = true) =>
        new(status is >= 200 and < 300 ? DeliveryStatus.Succeeded : DeliveryStatus.Failed, status) { KeepsConnection = keeps };

    public static HostileReport Cut(bool keeps = false) => Answered(200, keeps) with { Truncated = true };

    public string Words
    {
        get
        {
            string words = $"`{Name(Status)}`";
            if (Response is { } status)
                words += $", {status}";
            if (Code is { } code)
                words += $", `{Name(code)}` in {Name(Phase!)}";
            if (Says is not null)
                words += $" ({Says})";
            if (Truncated)
                words += ", body cut";
            if (AsBytes)
                words += ", body kept as bytes";
            return words;
        }
    }

    /// <summary>How long it takes, in words.</summary>
    public string Takes => Code == AttemptErrorCode.Timeout ? "5 s, the deadline" : "at once";

    static string Name(object value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()!);
}

/// <summary>One thing that a receiver can do to a sender, and what Sendoff reports of it. The command offers it, the tests run it,
/// docs/hostile-receivers.md lists it.</summary>
/// <param name="Name">The path of its URL.</param>
/// <param name="Does">What the receiver does.</param>
/// <param name="Script">Does it, once a request's head has been read. The connection stays open after it, unless the script closes
/// it.</param>
sealed record HostileBehaviour(string Name, string Does, HostileReport Reports, Func<HostileExchange, Task> Script)
{
    public string Method { get; init; } = "POST";

    /// <summary>Bytes of the body that the behaviour is about.</summary>
    public int RequestBytes { get; init; } = 100;

    /// <summary>Ordinary exchanges on the same connection before the one that counts.</summary>
    public int Before { get; init; }

    /// <summary>The receiver reads no more, so that it does not see the connection's end either.</summary>
    public bool IsDeaf { get; init; }

    /// <summary>A separate port; null for the shared one.</summary>
    public HostileListener? Listener { get; init; }

    /// <summary>A name instead of the receiver's address. It takes a resolver that knows it.</summary>
    public string? Host { get; init; }
}

/// <summary>What listens on a port that has one behaviour.</summary>
/// <param name="Scheme">Of the URL.</param>
/// <param name="Raw">Does it before any request is read; then the behaviour's script is not used.</param>
/// <param name="Certificate">Creates the certificate of a TLS session; null for no TLS.</param>
/// <param name="Protocol">The only protocol that the session takes; null takes none and leaves it to the sender.</param>
sealed record HostileListener(
    string Scheme,
    Func<ReceiverConnection, Task>? Raw = null,
    Func<ReceiverCertificates, X509Certificate2>? Certificate = null,
    SslApplicationProtocol? Protocol = null
);
