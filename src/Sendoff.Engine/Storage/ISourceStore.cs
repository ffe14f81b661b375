namespace Sendoff.Engine.Storage;

/// <summary>The state of event sources (K). Accepting a run of a hook claims the source, so that one hook of a source runs at a time.
/// Storing the end of a source's run drops repeated events, stores its <c>$.service.db</c>, and settles its hook.</summary>
public interface ISourceStore
{
    /// <summary>The sources that have been active or have run a hook.</summary>
    /// <param name="workflow">Null for all workflows.</param>
    Task<IReadOnlyList<SourceState>> ListSourcesAsync(WorkflowId? workflow, CancellationToken ct);

    /// <summary>Settles a hook without a run: the source does not have it, or it is given up.</summary>
    Task SettleHookAsync(WorkflowId workflow, SourceCall call, int version, CancellationToken ct);

    /// <summary>Deletes the state, the ids and the <c>$.service.db</c> of a source that its workflow no longer has.</summary>
    Task ForgetSourceAsync(WorkflowId workflow, string source, CancellationToken ct);
}
