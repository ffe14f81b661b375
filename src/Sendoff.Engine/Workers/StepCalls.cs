namespace Sendoff.Engine.Workers;

/// <summary>What the steps of one run ask of the server and await, while the run executes. The seam between workers and what
/// answers.</summary>
public interface IStepCalls
{
    /// <summary>Answers with JSON; nothing is <c>undefined</c>. Called in the order in which the steps called, by one thread at a time, and
    /// not awaited in between.</summary>
    /// <param name="args">A JSON object, as the step's process wrote it: to be trusted in nothing.</param>
    /// <exception cref="StepCallException">The step is refused, and told why.</exception>
    Task<ReadOnlyMemory<byte>> CallAsync(string method, ReadOnlyMemory<byte> args);
}

/// <summary>A call that is refused: the error that the step gets.</summary>
public sealed class StepCallException(string code, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Code => code;
}

/// <summary>A call as the worker wrote it.</summary>
internal readonly record struct StepCall(int Run, int Id, string Method, byte[] Args);

/// <summary>The answer to one.</summary>
/// <param name="Value">JSON; nothing is <c>undefined</c>.</param>
internal sealed record StepAnswer(int Run, int Id, ReadOnlyMemory<byte> Value, string? Code = null, string? Message = null);
