namespace Sendoff.Engine.Deliveries;

/// <summary>Ends an attempt with an error. Never escapes from <see cref="DeliverySender"/>.</summary>
internal sealed class WireException(AttemptErrorCode code, string message, Exception? inner = null) : Exception(message, inner)
{
    public AttemptErrorCode Code { get; } = code;
}
