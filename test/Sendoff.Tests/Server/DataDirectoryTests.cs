using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Commands;
using Sendoff.Engine;
using Sendoff.Engine.Storage;
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
            Database,
            TestSecrets.Concealment(),
            new IdSequence(TimeProvider.System),
            new EngineLimits(),
            TimeProvider.System,
            NullLogger<SqliteStore>.Instance,
            Ct
        );
        if (isUnderKey)
            await store.KeepFingerprintAsync(TestSecrets.Cipher.Fingerprint, Ct);
    }

    [Fact]
    public async Task A_start_without_the_key_of_its_database_is_refused_and_makes_no_new_one()
    {
        await ServeOnceAsync();

        var refused = Assert.Throws<InvalidDataException>(() => SecretKey.Load(null, folder.Path));

        Assert.Contains($"{Key} is missing, and the database {Database} is encrypted with that key", refused.Message);
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

    /// <summary>SQLite takes a file of a few bytes for an empty database.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(99)]
    [InlineData(100)]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task A_database_that_was_cut_off_is_refused_and_stays(int length)
    {
        await ServeOnceAsync();
        await using (var file = new FileStream(Database, FileMode.Open))
            file.SetLength(length);
        var refused = await Assert.ThrowsAsync<StoreUnavailableException>(() => ServeOnceAsync());
        Assert.Matches("damaged|not a SQLite database", refused.Message);
        Assert.Equal(length, new FileInfo(Database).Length);
        Assert.Matches("damaged|not a SQLite database", DatabaseState.In(folder.Path).Fault);
    }

    [Theory]
    [InlineData("sendoff.db")]
    [InlineData("sendoff.db.lock")]
    [InlineData(AdminToken.FileName)]
    [InlineData(SecretKey.FileName)]
    public async Task A_folder_where_a_file_should_be_ends_a_start_with_its_name(string name)
    {
        Directory.CreateDirectory(Path.Combine(folder.Path, name));
        var result = await SendoffCommand.RunAsync(["serve", "--data", folder.Path, "--listen", "http://127.0.0.1:0"]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(folder.Path, result.Error.ReplaceLineEndings(""));
        Assert.DoesNotContain("internal error", result.Error);
    }

    [Fact]
    public async Task A_deploy_that_cannot_lay_its_files_is_told_why_and_that_it_may_come_again()
    {
        await using var server = await TestServer.StartAsync(null, folder.Path);
        string versions = Path.Combine(folder.Path, "versions");
        if (Directory.Exists(versions))
            Directory.Delete(versions, recursive: true);
        await File.WriteAllTextAsync(versions, "", Ct);
        using var response = await server.Http.PutAsync(
            "/api/v1/workflows/orders",
            new StringContent("""{"files":{"step.js":"return 1"}}""", System.Text.Encoding.UTF8, "application/json"),
            Ct
        );
        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("the files of the workflow cannot be written", await response.Content.ReadAsStringAsync(Ct));
        File.Delete(versions);
        await server.DeployAsync("orders", new Dictionary<string, string> { ["step.js"] = "return 1" });
    }

    [Fact]
    public async Task A_database_that_is_missing_or_empty_beside_a_key_is_warned_of_and_a_first_start_is_not()
    {
        Assert.Null(DataDirectory.LostDatabase(folder.Path));
        SecretKey.Load(null, folder.Path);
        Assert.Contains(
            $"{Database} is missing, but {folder.Path} was used before: it has a file secret-key",
            DataDirectory.LostDatabase(folder.Path)
        );
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
        foreach (string file in files)
            File.SetUnixFileMode(file, OwnerOnly | UnixFileMode.OtherRead);

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
