using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Sendoff.Engine.Deliveries;

/// <summary>Creates a TLS session for HTTP/1.1. An error gives the reason: expired, wrong host, untrusted or protocol (C5).</summary>
/// <param name="roots">Additional trusted certificates.</param>
internal sealed class TlsHandshake(X509Certificate2Collection? roots)
{
    static readonly List<SslApplicationProtocol> http11 = [SslApplicationProtocol.Http11];

    /// <exception cref="WireException">The handshake failed; the error gives the reason.</exception>
    public async Task<SslStream> MakeAsync(Socket socket, string host, CancellationToken ct)
    {
        string? refusal = null;
        var session = new SslStream(new NetworkStream(socket, ownsSocket: false));
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host.TrimEnd('.'),
            ApplicationProtocols = http11,
            CertificateChainPolicy = ChainPolicy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) =>
                (refusal = FindRefusal(host, certificate as X509Certificate2, chain, errors)) is null,
        };
        try
        {
            await session.AuthenticateAsClientAsync(options, ct).ConfigureAwait(false);
            return session;
        }
        catch (Exception e)
        {
            await session.DisposeAsync().ConfigureAwait(false);
            if (ct.IsCancellationRequested)
                throw;
            throw refusal is not null
                ? new WireException(AttemptErrorCode.TlsFailed, $"the TLS handshake with {host} failed: {refusal}", e)
                : Explain(host, e);
        }
    }

    static WireException Explain(string host, Exception e) =>
        e switch
        {
            _ when TlsFault.ReasonOf(e) is { } reason => new(
                AttemptErrorCode.TlsFailed,
                $"the TLS handshake with {host} failed: {reason}",
                e
            ),
            AuthenticationException => new(
                AttemptErrorCode.TlsFailed,
                $"the TLS handshake with {host} failed: protocol: {(e.InnerException ?? e).Message}",
                e
            ),
            IOException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionReset } } => new(
                AttemptErrorCode.ConnectionReset,
                $"the receiver reset the connection during the TLS handshake with {host}",
                e
            ),
            IOException or SocketException => new(
                AttemptErrorCode.ConnectionClosed,
                $"the receiver closed the connection during the TLS handshake with {host}",
                e
            ),
            _ => new(AttemptErrorCode.TlsFailed, $"the TLS handshake with {host} failed: protocol: {e.Message}", e),
        };

    /// <summary>A chain is validated with the certificates that the receiver sent: downloads would bypass the egress rules.</summary>
    internal static X509ChainPolicy ChainPolicy() =>
        new() { DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck };

    /// <summary>The reason why a certificate is not accepted; null if it is.</summary>
    internal string? FindRefusal(string host, X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
            return null;
        if (certificate is null)
            return "protocol: the receiver sent no certificate";
        var reasons = new List<string>();
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            reasons.Add($"wrong host: the certificate is for {NamesOf(certificate)}, not for {host}");
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
            AddChainReasons(certificate, chain, reasons);
        return reasons.Count == 0 ? null : string.Join("; ", reasons);
    }

    void AddChainReasons(X509Certificate2 certificate, X509Chain? chain, List<string> reasons)
    {
        var status = StatusOf(chain);
        if (roots is not null && (status & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0)
            status = JudgeByOwnRoots(certificate, chain);
        if (status == X509ChainStatusFlags.NoError)
            return;
        if (status.HasFlag(X509ChainStatusFlags.NotTimeValid))
            reasons.Add(
                "expired: the certificate chain is not valid now; "
                    + $"the certificate is valid from {certificate.NotBefore.ToUniversalTime():yyyy-MM-dd} to "
                    + $"{certificate.NotAfter.ToUniversalTime():yyyy-MM-dd}"
            );
        if ((status & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0)
            reasons.Add("untrusted: the certificate was not issued by an authority that this server trusts");
        if (reasons.Count == 0)
            reasons.Add($"untrusted: {status}");
    }

    X509ChainStatusFlags JudgeByOwnRoots(X509Certificate2 certificate, X509Chain? seen)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(roots!);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new System.Security.Cryptography.Oid("1.3.6.1.5.5.7.3.1")); // Server authentication.
        if (seen is not null)
            chain.ChainPolicy.ExtraStore.AddRange(seen.ChainPolicy.ExtraStore);
        chain.Build(certificate);
        return StatusOf(chain);
    }

    static X509ChainStatusFlags StatusOf(X509Chain? chain)
    {
        var all = X509ChainStatusFlags.NoError;
        foreach (var status in chain?.ChainStatus ?? [])
            all |= status.Status;
        return all;
    }

    static string NamesOf(X509Certificate2 certificate)
    {
        var names = certificate
            .Extensions.OfType<X509SubjectAlternativeNameExtension>()
            .SelectMany(e => e.EnumerateDnsNames())
            .Take(5)
            .ToArray();
        return names.Length > 0 ? string.Join(", ", names) : certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false);
    }
}
