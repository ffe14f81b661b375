using System.Collections.Concurrent;
using System.Reflection;
using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Runs;

/// <summary>A real store of which single calls fail, as often as they are told to.</summary>
public class FailingStore : DispatchProxy
{
    readonly ConcurrentDictionary<string, (Exception Error, int Times)> failures = new();
    readonly ConcurrentDictionary<string, TaskCompletionSource> held = new();
    readonly ConcurrentDictionary<string, int> calls = new(),
        ended = new();
    readonly ConcurrentDictionary<string, (TaskCompletionSource Done, TaskCompletionSource LetGo)> heldAfter = new();
    IStore store = null!;

    public static (IStore Store, FailingStore Switch) Of(IStore store)
    {
        var proxy = Create<IStore, FailingStore>();
        var failing = (FailingStore)(object)proxy;
        failing.store = store;
        return (proxy, failing);
    }

    /// <summary>The next calls of a method fail.</summary>
    public void Fail(string method, Exception error, int times = 1) => failures[method] = (error, times);

    /// <summary>Calls of a method do not come back until they are let go.</summary>
    public TaskCompletionSource Hold(string method) => held[method] = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The next call of a method is done, and does not come back until it is let go.</summary>
    public (Task Done, TaskCompletionSource LetGo) HoldAnswer(string method)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var letGo = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        heldAfter[method] = (done, letGo);
        return (done.Task, letGo);
    }

    static async Task<T> AfterAsync<T>(Task<T> call, TaskCompletionSource done, TaskCompletionSource letGo)
    {
        var answer = await call;
        done.TrySetResult();
        await letGo.Task;
        return answer;
    }

    public int CallsOf(string method) => calls.GetValueOrDefault(method);

    /// <summary>Calls that the store has completed; not those that were held.</summary>
    public int EndedOf(string method) => ended.GetValueOrDefault(method);

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        string name = targetMethod!.Name;
        calls.AddOrUpdate(name, 1, static (_, count) => count + 1);
        if (failures.TryGetValue(name, out var failure) && failure.Times > 0)
        {
            failures[name] = (failure.Error, failure.Times - 1);
            throw failure.Error;
        }
        if (heldAfter.TryRemove(name, out var after))
            return AfterAsync((dynamic)targetMethod.Invoke(store, args)!, after.Done, after.LetGo);
        if (!held.TryGetValue(name, out var gate))
        {
            object? result = targetMethod.Invoke(store, args);
            (result as Task)?.ContinueWith(
                _ => ended.AddOrUpdate(name, 1, static (_, count) => count + 1),
                TaskContinuationOptions.ExecuteSynchronously
            );
            return result;
        }
        if (targetMethod.ReturnType == typeof(Task))
            return HoldAsync(gate, targetMethod, args);
        return targetMethod.ReturnType == typeof(Task<bool>)
            ? HoldAnswerAsync(gate, targetMethod, args)
            : throw new NotSupportedException(name);
    }

    async Task HoldAsync(TaskCompletionSource gate, MethodInfo method, object?[]? args)
    {
        await gate.Task;
        await (Task)method.Invoke(store, args)!;
    }

    async Task<bool> HoldAnswerAsync(TaskCompletionSource gate, MethodInfo method, object?[]? args)
    {
        await gate.Task;
        return await (Task<bool>)method.Invoke(store, args)!;
    }
}
