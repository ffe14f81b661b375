using System.Runtime.CompilerServices;

namespace Sendoff.Tests.Support;

/// <summary>Waits of tests: for a signal or a condition, with one shared limit. The limit only ends a test that would hang.</summary>
static class Wait
{
    /// <summary>Much longer than anything takes here on a busy machine.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    // Pause between two checks of a condition without a signal: short at first, longer later, so that it does not slow the machine down.
    const int FirstPauseMs = 2,
        LongestPauseMs = 50;

    /// <summary>Cancelled at the limit, and when the test is cancelled.</summary>
    public static CancellationToken Token
    {
        get
        {
            var source = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            source.CancelAfter(Limit);
            return source.Token;
        }
    }

    /// <summary>Waits until the task ends.</summary>
    public static Task WithinLimitAsync(this Task task) => task.WaitAsync(Limit, TestContext.Current.CancellationToken);

    /// <summary>Waits until the task ends, and returns its result.</summary>
    public static Task<T> WithinLimitAsync<T>(this Task<T> task) => task.WaitAsync(Limit, TestContext.Current.CancellationToken);

    /// <summary>Waits until the semaphore was released this number of times.</summary>
    public static async Task ForAsync(
        SemaphoreSlim semaphore,
        int count = 1,
        [CallerArgumentExpression(nameof(semaphore))] string what = ""
    )
    {
        for (int i = 0; i < count; i++)
            Assert.True(
                await semaphore.WaitAsync(Limit, TestContext.Current.CancellationToken),
                $"{what}: {i} of {count} after {Limit.TotalSeconds} s"
            );
    }

    /// <summary>Waits until the condition is true.</summary>
    public static Task UntilAsync(Func<bool> condition, [CallerArgumentExpression(nameof(condition))] string what = "") =>
        UntilAsync(() => Task.FromResult(condition()), what);

    /// <summary>Waits until the condition is true.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition, [CallerArgumentExpression(nameof(condition))] string what = "")
    {
        var ct = Token;
        for (int pause = FirstPauseMs; !await condition(); pause = Math.Min(2 * pause, LongestPauseMs))
        {
            Assert.False(ct.IsCancellationRequested, $"not true after {Limit.TotalSeconds} s: {what}");
            await Task.Delay(pause, CancellationToken.None);
        }
    }
}
