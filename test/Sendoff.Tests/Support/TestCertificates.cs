using System.Security.Cryptography.X509Certificates;
using Sendoff.Commands.Hostile;

namespace Sendoff.Tests.Support;

/// <summary>A test authority, and certificates that it issues.</summary>
static class TestCertificates
{
    static readonly ReceiverCertificates own = new();

    public static X509Certificate2Collection Roots => own.Roots;

    /// <summary>A server's certificate for a name, or for 127.0.0.1.</summary>
    public static X509Certificate2 Issue(string host, bool expired = false) => own.Issue(host, expired);
}
