namespace Sendoff.Engine.Deliveries;

/// <summary>Ends an attempt from anywhere inside it with its error. Never leaves <see cref="DeliverySender"/>.</summary>
internal sealed class WireException(AttemptErrorCode code, string message, Exception? inner = null) : Exception(message, inner)
{
    public AttemptErrorCode Code { get; } = code;
}
