using System.Security.Cryptography.X509Certificates;

namespace Sendoff.Engine.Deliveries;

/// <summary>Egress rules and source addresses of deliveries, as the operator set it (D2, D3).</summary>
public sealed record EgressOptions
{
    public EgressPolicies Policies { get; init; } = new(EgressPolicy.Default);

    /// <summary>Setting <c>Egress:Addresses</c>. Not together with a proxy.</summary>
    public EgressAddresses Addresses { get; init; } = EgressAddresses.Any;

    /// <summary>Setting <c>Egress:Proxy</c>.</summary>
    public EgressProxy? Proxy { get; init; }

    /// <summary>Certificates that are trusted besides those of the system. Setting <c>Tls:Authorities</c>.</summary>
    public X509Certificate2Collection? Authorities { get; init; }

    /// <summary>What receivers are told to let in: addresses and ranges. Empty when deliveries have no fixed ones. Setting
    /// <c>Egress:PublicAddresses</c>.</summary>
    public IReadOnlyList<string> PublicAddresses { get; init; } = [];

    /// <summary>Rules, and nothing else said.</summary>
    public static implicit operator EgressOptions(EgressPolicy policy) => new() { Policies = new(policy) };
}

/// <summary>The rules in force for each workflow: the server's, and its own beside them where the operator set any (D2).</summary>
public sealed class EgressPolicies
{
    readonly Dictionary<string, EgressPolicy> byWorkflow = new(StringComparer.OrdinalIgnoreCase);
    readonly EgressPolicy unknown;

    public EgressPolicies(EgressPolicy server)
        : this(server, []) { }

    /// <param name="server">The rules of all.</param>
    /// <param name="workflows">Settings <c>Egress:Workflows:NAME:Allow</c> and <c>:Deny</c>.</param>
    public EgressPolicies(EgressPolicy server, IEnumerable<EgressLayer> workflows)
    {
        Server = unknown = server;
        foreach (var layer in workflows)
        {
            byWorkflow[layer.Workflow!] = server.With(layer);
            unknown = unknown.With(new(layer.Workflow, [], layer.Deny));
        }
    }

    public EgressPolicy Server { get; }

    /// <summary>The workflows that have own rules, by name.</summary>
    public IEnumerable<EgressLayer> Workflows =>
        byWorkflow.Values.Select(policy => policy.Layers[0]).OrderBy(layer => layer.Workflow, StringComparer.Ordinal);

    /// <summary>The rules for a workflow's deliveries.</summary>
    /// <param name="workflow">Its name, in any case; null when it is gone, which may be reached by no more than any workflow may.</param>
    public EgressPolicy Of(string? workflow) =>
        byWorkflow.Count == 0 ? Server
        : workflow is null ? unknown
        : byWorkflow.GetValueOrDefault(workflow, Server);
}
