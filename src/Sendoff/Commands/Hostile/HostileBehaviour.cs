using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace Sendoff.Commands.Hostile;

/// <summary>The expected record of a delivery to a behaviour.</summary>
/// <param name="Response">The recorded status; null without a response.</param>
sealed record HostileReport(DeliveryStatus Status, int? Response, AttemptErrorCode? Code = null, AttemptPhase? Phase = null)
{
    /// <summary>The reason in the error message, if the code has several reasons.</summary>
    public string? Says { get; init; }

    /// <summary>Less of the body is stored than was sent.</summary>
    public bool Truncated { get; init; }

    /// <summary>The body is not text, so it is stored as bytes.</summary>
    public bool AsBytes { get; init; }

    /// <summary>The connection is reused for the next delivery.</summary>
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
                words += ", body truncated";
            if (AsBytes)
                words += ", body stored as bytes";
            return words;
        }
    }

    /// <summary>The duration in words.</summary>
    public string Takes => Code == AttemptErrorCode.Timeout ? "5 s (deadline)" : "immediate";

    static string Name(object value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()!);
}

/// <summary>A misbehaviour of a receiver, and the expected report of Sendoff. Used by the command, the tests and
/// docs/hostile-receivers.md.</summary>
/// <param name="Name">The path of its URL.</param>
/// <param name="Does">The behaviour in words.</param>
/// <param name="Script">Runs after the head of a request has been read. Afterwards the connection stays open, unless the script closes
/// it.</param>
sealed record HostileBehaviour(string Name, string Does, HostileReport Reports, Func<HostileExchange, Task> Script)
{
    public string Method { get; init; } = "POST";

    /// <summary>Size of the request body that triggers the behaviour.</summary>
    public int RequestBytes { get; init; } = 100;

    /// <summary>Number of normal exchanges on the same connection before the behaviour.</summary>
    public int Before { get; init; }

    /// <summary>The receiver stops reading, so it does not see the end of the connection.</summary>
    public bool IsDeaf { get; init; }

    /// <summary>A separate port; null for the shared one.</summary>
    public HostileListener? Listener { get; init; }

    /// <summary>A host name instead of the receiver's address. Requires a resolver that knows the name.</summary>
    public string? Host { get; init; }
}

/// <summary>A separate port for one behaviour.</summary>
/// <param name="Scheme">The scheme of the URL.</param>
/// <param name="Raw">Runs before a request is read, instead of the behaviour's script.</param>
/// <param name="Certificate">Creates the certificate of a TLS session; null for no TLS.</param>
/// <param name="Protocol">The only ALPN protocol that the receiver accepts; null for none.</param>
sealed record HostileListener(
    string Scheme,
    Func<ReceiverConnection, Task>? Raw = null,
    Func<ReceiverCertificates, X509Certificate2>? Certificate = null,
    SslApplicationProtocol? Protocol = null
);
