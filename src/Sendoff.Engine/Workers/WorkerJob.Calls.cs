namespace Sendoff.Engine.Workers;

/// <remarks>Calls of its steps while it executes.</remarks>
internal sealed partial class WorkerJob
{
    /// <summary>Maximum unanswered calls of a run; the harness queues further ones.</summary>
    public const int MostCalls = 64;

    IStepCalls? calls;
    int unanswered;

    /// <summary>Handles a call. A write continues if the worker ends; the answer to a run that has ended is dropped.</summary>
    public void Ask(Worker worker, in StepCall call)
    {
        Heard = true;
        if (Interlocked.Increment(ref unanswered) > MostCalls)
            throw new WorkerProtocolException($"more than {MostCalls} unanswered calls");
        calls ??= queue.Pool.Calls?.Invoke(queue.Program) ?? NoCalls.Instance;
        _ = AnswerAsync(worker, call);
    }

    async Task AnswerAsync(Worker worker, StepCall call)
    {
        StepAnswer answer;
        try
        {
            answer = new(call.Run, call.Id, await calls!.CallAsync(call.Method, call.Args).ConfigureAwait(false));
        }
        catch (StepCallException e)
        {
            answer = new(call.Run, call.Id, default, e.Code, e.Message);
        }
        catch (Exception e)
        {
            queue.Pool.Log.StepCallFailed(call.Method, e);
            answer = new(
                call.Run,
                call.Id,
                default,
                "SENDOFF_CALL_FAILED",
                $"the server could not answer ({e.GetType().Name}: {e.Message})"
            );
        }
        Interlocked.Decrement(ref unanswered);
        if (worker.Executing != this)
            return;
        worker.Outbox.PostAnswer(answer);
        worker.Outbox.Flush();
    }

    sealed class NoCalls : IStepCalls
    {
        public static readonly NoCalls Instance = new();

        public Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args) =>
            throw new StepCallException("SENDOFF_CALL", $"no handler for the call {method}");
    }
}
