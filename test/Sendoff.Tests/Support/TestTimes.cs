using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Testing.Platform.Builder;
using Microsoft.Testing.Platform.Extensions;
using Microsoft.Testing.Platform.Extensions.Messages;

namespace Sendoff.Tests.Support;

/// <summary> Ends the test run if a test hangs, and writes the duration of each test to the file in <c>TEST_TIMES</c> (.ci/run reads it).
/// The variable has no prefix SENDOFF_, because that would be a setting of the servers that tests start. </summary>
public sealed class TestTimes : IDataConsumer, IDisposable
{
    static readonly TimeSpan longest = TimeSpan.FromMinutes(8);

    readonly ConcurrentDictionary<string, (string Name, long Start)> running = new();
    readonly StreamWriter? file = Environment.GetEnvironmentVariable("TEST_TIMES") is { Length: > 0 } path
        ? new(path, append: true) { AutoFlush = true }
        : null;
    readonly Timer watch;

    TestTimes() => watch = new(_ => EndWhatHangs(), null, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10));

    /// <summary>Called by the entry point that the build generates (Sendoff.Tests.csproj).</summary>
    public static void AddExtensions(ITestApplicationBuilder builder, string[] _) => builder.TestHost.AddDataConsumer(_ => new TestTimes());

    public string Uid => nameof(TestTimes);
    public string Version => "1";
    public string DisplayName => "Times of tests";
    public string Description => "Writes how long each test took.";
    public Type[] DataTypesConsumed => [typeof(TestNodeUpdateMessage)];

    public Task<bool> IsEnabledAsync() => Task.FromResult(true);

    public Task ConsumeAsync(IDataProducer dataProducer, IData value, CancellationToken cancellationToken)
    {
        var test = ((TestNodeUpdateMessage)value).TestNode;
        var state = test.Properties.SingleOrDefault<TestNodeStateProperty>();
        if (state is InProgressTestNodeStateProperty)
        {
            running[test.Uid.Value] = (test.DisplayName, Stopwatch.GetTimestamp());
            Write("begin", 0, test.DisplayName);
        }
        else if (running.TryRemove(test.Uid.Value, out var begun))
            Write("end", Stopwatch.GetElapsedTime(begun.Start).TotalSeconds, test.DisplayName);
        return Task.CompletedTask;
    }

    void Write(string what, double seconds, string name)
    {
        if (file is null)
            return;
        lock (file)
            file.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}\t{seconds:F1}\t{name}"));
    }

    void EndWhatHangs()
    {
        var hanging = running.Values.Where(test => Stopwatch.GetElapsedTime(test.Start) > longest).Select(test => test.Name).ToList();
        if (hanging.Count == 0 || Debugger.IsAttached)
            return;
        Console.Error.WriteLine($"runs for more than {longest.TotalMinutes} minutes: {string.Join(", ", hanging)}");
        Environment.Exit(3);
    }

    public void Dispose()
    {
        watch.Dispose();
        file?.Dispose();
    }
}
