using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Sendoff.Server;

/// <summary>The certificate of <c>https</c> listeners, from files. Files that change are read again at the next handshake, so that a
/// renewal needs no restart; while they cannot be read, the certificate before stays.</summary>
/// <param name="certificate">PEM with the chain behind the certificate, or PKCS #12 (<c>.pfx</c>, <c>.p12</c>).</param>
/// <param name="key">PEM; null when it is in <paramref name="certificate"/>.</param>
/// <param name="password">Of the key or the PKCS #12 file.</param>
sealed class ServerCertificate(string certificate, string? key, string? password, TimeProvider time)
{
    // So often the files' times are looked at.
    static readonly TimeSpan lookEvery = TimeSpan.FromSeconds(1);

    readonly Lock gate = new();
    SslStreamCertificateContext? current;
    (DateTime, DateTime) stamp;
    long looked;

    /// <summary>Raised with why files that changed cannot be used.</summary>
    public event Action<string>? Kept;

    /// <summary>Reads the files for the first time.</summary>
    /// <exception cref="InvalidDataException">They hold no certificate with its key; the message says which and why.</exception>
    public void Load()
    {
        looked = time.GetTimestamp();
        stamp = Stamp();
        current = Read();
    }

    public void Use(ListenOptions options) =>
        options.UseHttps(
            new TlsHandshakeCallbackOptions
            {
                OnConnection = _ =>
                    new(
                        new SslServerAuthenticationOptions { ServerCertificateContext = Current(), EnabledSslProtocols = SslProtocols.None }
                    ),
            }
        );

    SslStreamCertificateContext Current()
    {
        lock (gate)
        {
            if (time.GetElapsedTime(looked) < lookEvery)
                return current!;
            looked = time.GetTimestamp();
            if (Stamp() != stamp)
                ReadAgain();
            return current!;
        }
    }

    /// <summary>Reads the files now, whether they changed or not; false when they cannot be used.</summary>
    public bool Reload()
    {
        lock (gate)
            return ReadAgain();
    }

    bool ReadAgain()
    {
        stamp = Stamp();
        try
        {
            current = Read();
            return true;
        }
        catch (InvalidDataException x)
        {
            Kept?.Invoke(x.Message);
            return false;
        }
    }

    (DateTime, DateTime) Stamp() => (TimeOf(certificate), key is null ? default : TimeOf(key));

    // A link has a time of its own, which stays when a folder on its way is replaced: so volumes of Kubernetes are renewed.
    static DateTime TimeOf(string file)
    {
        try
        {
            return File.GetLastWriteTimeUtc(File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file);
        }
        catch (IOException)
        {
            return default; // a broken link
        }
    }

    SslStreamCertificateContext Read()
    {
        try
        {
            return Path.GetExtension(certificate).ToLowerInvariant() is ".pfx" or ".p12" ? ReadPkcs12() : ReadPem();
        }
        catch (Exception x) when (x is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            string what = key is null
                ? $"{certificate} (setting Tls:Certificate)"
                : $"{certificate} and {key} (settings Tls:Certificate, Tls:Key)";
            throw new InvalidDataException($"no certificate with its key can be read from {what}: {x.Message}", x);
        }
    }

    SslStreamCertificateContext ReadPem()
    {
        var own = password is null
            ? X509Certificate2.CreateFromPemFile(certificate, key)
            : X509Certificate2.CreateFromEncryptedPemFile(certificate, password, key);
        var chain = new X509Certificate2Collection();
        chain.ImportFromPemFile(certificate);
        return Context(own, chain);
    }

    SslStreamCertificateContext ReadPkcs12()
    {
        var all = X509CertificateLoader.LoadPkcs12CollectionFromFile(certificate, password);
        return Context(
            all.FirstOrDefault(static one => one.HasPrivateKey) ?? throw new CryptographicException("it has no private key"),
            all
        );
    }

    // The chain is what the files hold: nothing is fetched.
    static SslStreamCertificateContext Context(X509Certificate2 own, X509Certificate2Collection chain)
    {
        // TLS of Windows takes no key that is in memory only.
        if (OperatingSystem.IsWindows())
            own = X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null);
        return SslStreamCertificateContext.Create(own, chain, offline: true);
    }
}
