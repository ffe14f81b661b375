using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine;
using Sendoff.Engine.Secrets;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Storage.Sql;

namespace Sendoff.Tests.Support;

/// <summary>A key for tests, and a concealment with that key.</summary>
internal static class TestSecrets
{
    public static SecretCipher Cipher { get; } = new("0123456789abcdef0123456789abcdef"u8);

    public static Concealment Concealment(params string[] secrets) => new(Cipher) { Mask = new SecretMask(secrets) };

    public static StoreParts Parts(IdSequence ids, TimeProvider time) =>
        new(Concealment(), ids, new EngineLimits(), time, NullLogger.Instance);
}
