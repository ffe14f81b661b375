namespace Sendoff.Engine.Workers;

/// <summary>Handles the calls of a run's steps to the server. The interface between workers and the implementation of the calls.</summary>
public interface IStepCalls
{
    /// <summary>Returns JSON; empty is <c>undefined</c>. Called in the order of the steps' calls, by one thread at a time, without awaiting
    /// earlier calls.</summary>
    /// <param name="args">A JSON object from the step's process, which is not trusted.</param>
    /// <exception cref="StepCallException">The call is refused; the step gets the error.</exception>
    Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args);
}

/// <summary>The error of a refused call.</summary>
public sealed class StepCallException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Code => code;
}

/// <summary>A call of a worker.</summary>
internal readonly record struct StepCall(int Run, int Id, string Method, byte[] Args);

/// <summary>The answer to a call.</summary>
/// <param name="Value">JSON; empty is <c>undefined</c>.</param>
internal sealed record StepAnswer(int Run, int Id, ReadOnlyMemory<byte> Value, string? Code = null, string? Message = null);
