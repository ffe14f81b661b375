namespace Sendoff.Engine.Model;

/// <summary>The work that a server takes. Setting <c>Servers:Roles</c>.</summary>
/// <remarks>The numbers are stored.</remarks>
[Flags]
public enum ServerRoles
{
    None = 0,

    /// <summary>Events: requests to triggers, and the due times of schedules.</summary>
    Ingest = 1,

    /// <summary>Runs: queued, due to be resumed, or released from the quota.</summary>
    Run = 2,

    /// <summary>Deliveries.</summary>
    Deliver = 4,

    All = Ingest | Run | Deliver,
}
