using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Sendoff.Server;

/// <summary>The certificate of <c>https</c> listeners, from files. Changed files are read again at the next handshake, so that a renewal
/// needs no restart. While they cannot be read, the previous certificate stays in use.</summary>
/// <param name="certificate">PEM with the certificate and its chain, or PKCS #12 (<c>.pfx</c>, <c>.p12</c>).</param>
/// <param name="key">PEM; null if <paramref name="certificate"/> contains the key.</param>
/// <param name="password">The password of the key or the PKCS #12 file.</param>
sealed class ServerCertificate(string certificate, string? key, string? password, TimeProvider time)
{
    // Interval between two checks of the files' times.
    static readonly TimeSpan lookEvery = TimeSpan.FromSeconds(1);

    readonly Lock gate = new();
    SslStreamCertificateContext? current;
    (DateTime, DateTime) stamp;
    long looked;

    /// <summary>Raised with the reason when changed files cannot be used.</summary>
    public event Action<string>? Kept;

    /// <summary>Reads the files for the first time.</summary>
    /// <exception cref="InvalidDataException">The files contain no certificate with its key. The message gives the file and the
    /// reason.</exception>
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

    /// <summary>Reads the files now, even if they have not changed. Returns false if they cannot be used.</summary>
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

    // A symbolic link has its own time, which does not change when a folder in its path is replaced. Kubernetes renews volumes like this.
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

    // The chain contains only the certificates of the files; nothing is downloaded.
    static SslStreamCertificateContext Context(X509Certificate2 own, X509Certificate2Collection chain)
    {
        // On Windows, TLS does not accept a key that is only in memory.
        if (OperatingSystem.IsWindows())
            own = X509CertificateLoader.LoadPkcs12(own.Export(X509ContentType.Pkcs12), null);
        return SslStreamCertificateContext.Create(own, chain, offline: true);
    }
}
