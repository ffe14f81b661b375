using System.Diagnostics;
using Sendoff.Commands.Hostile;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Commands;

/// <summary><c>sendoff receive --hostile</c> as people call it.</summary>
public sealed class ReceiveCommandTests
{
    [Fact]
    public async Task Hostile_receiver_lists_its_URLs_misbehaves_on_each_and_prints_what_comes()
    {
        using var folder = new TempFolder();
        string authority = Path.Combine(folder.Path, "authority.pem");
        using var process = Process.Start(
            SendoffCommand.Info("receive", "--hostile", "--port", "0", "--count", "2", "--authority", authority)
        )!;
        var errors = process.StandardError.ReadToEndAsync();
        var urls = new List<string>();
        // The list ends with an empty line.
        while (await process.StandardOutput.ReadLineAsync() is { Length: > 0 } line)
            if (line.Trim().Split(' ') is [var url, ..] && url.StartsWith("http", StringComparison.Ordinal))
                urls.Add(url);

        using var sending = new Sending();
        var lengths = await sending.PostAsync(urls.Single(url => url.EndsWith("/two-lengths", StringComparison.Ordinal)));
        var expired = await sending.PostAsync(urls.Single(url => url.EndsWith("/tls-expired", StringComparison.Ordinal)));
        await sending.PostAsync(urls.Single(url => url.EndsWith("/cookies", StringComparison.Ordinal)));
        string printed = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        Assert.Equal(HostileBehaviours.All.Count(behaviour => behaviour.Host is null), urls.Count);
        Assert.Equal((AttemptErrorCode.InvalidResponse, AttemptErrorCode.TlsFailed), (lengths.Error!.Code, expired.Error!.Code));
        Assert.Contains("#1  POST /two-lengths HTTP/1.1\n", printed.ReplaceLineEndings("\n"));
        Assert.Contains("#2  POST /cookies HTTP/1.1\n", printed.ReplaceLineEndings("\n"));
        Assert.StartsWith("-----BEGIN CERTIFICATE-----", File.ReadAllText(authority));
        Assert.Equal((0, "Press Ctrl+C to stop"), (process.ExitCode, (await errors).Trim()));
    }
}
