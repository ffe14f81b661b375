using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Commands;
using Sendoff.Engine;
using Sendoff.Engine.Storage.Sqlite;
using Sendoff.Server.Auth;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>What a start makes of a data directory in which something is missing or open to others.</summary>
public sealed class DataDirectoryTests : IDisposable
{
    const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    readonly TempFolder folder = new();

    static CancellationToken Ct => TestContext.Current.CancellationToken;
    string Key => Path.Combine(folder.Path, SecretKey.FileName);
    string Database => DatabaseState.PathIn(folder.Path);

    public void Dispose() => folder.Dispose();

    async Task ServeOnceAsync(bool isUnderKey = true)
    {
        await using var store = await SqliteStore.OpenAsync(
            Database, TestSecrets.Concealment(), new IdSequence(TimeProvider.System), new EngineLimits(), TimeProvider.System, NullLogger<SqliteStore>.Instance, Ct);
        if (isUnderKey) await store.KeepFingerprintAsync(TestSecrets.Cipher.Fingerprint, Ct);
    }

    [Fact]
    public async Task A_start_without_the_key_of_its_database_is_refused_and_makes_no_new_one()
    {
        await ServeOnceAsync();

        var refused = Assert.Throws<InvalidDataException>(() => SecretKey.Load(null, folder.Path));

        Assert.Contains($"{Key} is missing, and the database {Database} is encrypted under that key", refused.Message);
        Assert.False(File.Exists(Key));
        Assert.NotNull(SecretKey.Load(Convert.ToBase64String(new byte[32]), folder.Path)); // the setting is a key
        Assert.False(File.Exists(Key));
    }

    [Fact]
    public async Task A_database_from_before_there_were_keys_gets_one()
    {
        await ServeOnceAsync(isUnderKey: false);
        Assert.NotNull(SecretKey.Load(null, folder.Path));
        Assert.True(File.Exists(Key));
    }

    [Fact]
    public async Task A_database_that_is_missing_or_empty_beside_a_key_is_warned_of_and_a_first_start_is_not()
    {
        Assert.Null(DataDirectory.LostDatabase(folder.Path));
        SecretKey.Load(null, folder.Path);
        Assert.Contains($"{Database} is missing, but {folder.Path} was used before: it has a file secret-key", DataDirectory.LostDatabase(folder.Path));
        await File.WriteAllBytesAsync(Database, [], Ct);
        Assert.Contains($"{Database} is empty", DataDirectory.LostDatabase(folder.Path));
        await ServeOnceAsync();
        Assert.Null(DataDirectory.LostDatabase(folder.Path));
        File.Delete(Key);
        File.Delete(Database);
        AdminToken.Load(null, folder.Path);
        Assert.Contains("it has a file admin-token", DataDirectory.LostDatabase(folder.Path));
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void Keys_that_others_could_read_are_made_private_at_a_start()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "files have no mode on Windows");
        SecretKey.Load(null, folder.Path);
        AdminToken.Load(null, folder.Path);
        string[] files = [Key, Path.Combine(folder.Path, AdminToken.FileName)];
        Assert.All(files, file => Assert.Equal(OwnerOnly, File.GetUnixFileMode(file)));
        foreach (string file in files) File.SetUnixFileMode(file, OwnerOnly | UnixFileMode.OtherRead);

        SecretKey.Load(null, folder.Path);
        AdminToken.Load(null, folder.Path);

        Assert.All(files, file => Assert.Equal(OwnerOnly, File.GetUnixFileMode(file)));
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void The_data_directory_is_private_also_when_it_was_not()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "folders have no mode on Windows");
        File.SetUnixFileMode(folder.Path, (UnixFileMode)0b111_101_101);
        DataDirectory.Prepare(folder.Path);
        Assert.Equal(OwnerOnly | UnixFileMode.UserExecute, File.GetUnixFileMode(folder.Path));
    }
}
