using System.Security.Authentication;

namespace Sendoff.Engine.Deliveries;

/// <summary>Describes OpenSSL errors of a failed session (C5). On other systems, the system's own message is used.</summary>
internal static class TlsFault
{
    // An OpenSSL error has the library in the upper bits and the reason in these. Alerts of the peer are reasons from 1000 (RFC 8446,
    // section 6).
    const int LibraryShift = 23,
        Ssl = 20,
        FirstAlert = 1_000;

    /// <summary>Null if it is not a TLS error.</summary>
    public static string? ReasonOf(Exception? e)
    {
        // .NET checks the first bytes itself, and reports them only in the message.
        if (e is AuthenticationException { InnerException: null } && e.Message.Contains("frame", StringComparison.Ordinal))
            return "protocol: the receiver does not speak TLS on this port; perhaps the URL should begin with http://";
        for (; e is not null; e = e.InnerException)
        {
            if ((uint)e.HResult >> LibraryShift != Ssl)
                continue;
            int reason = e.HResult & ((1 << LibraryShift) - 1);
            return reason >= FirstAlert ? OfAlert(reason - FirstAlert) : OfLibrary(reason) ?? $"protocol: {e.Message}";
        }
        return null;
    }

    static string OfAlert(int alert) =>
        alert switch
        {
            40 => "protocol: no common protocol version or cipher, or the receiver requires a client certificate (alert 40, "
                + "handshake_failure)",
            42 or 43 or 44 or 45 or 46 or 48 or 49 or 116 =>
                $"client certificate: the receiver requires one, and deliveries have none (alert {alert}, {NameOf(alert)})",
            70 => "protocol: no common protocol version; deliveries use TLS 1.2 and 1.3 (alert 70, protocol_version)",
            71 => "protocol: no common cipher that is strong enough for the receiver (alert 71, insufficient_security)",
            112 => "wrong host: the receiver does not know the host (alert 112, unrecognized_name)",
            120 => "protocol: the receiver does not offer HTTP/1.1, perhaps HTTP/2 only (alert 120, no_application_protocol)",
            _ => $"protocol: the receiver ended the handshake (alert {alert}, {NameOf(alert)})",
        };

    static string NameOf(int alert) =>
        alert switch
        {
            10 => "unexpected_message",
            20 => "bad_record_mac",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            80 => "internal_error",
            109 => "missing_extension",
            116 => "certificate_required",
            _ => "unnamed",
        };

    static string? OfLibrary(int reason) =>
        reason switch
        {
            258 => "protocol: no common protocol version; deliveries use TLS 1.2 and 1.3",
            338 => "protocol: the receiver only offers renegotiation that is not safe",
            394 => "protocol: the receiver's key exchange is too weak",
            _ => null,
        };
}
