using System.Security.Cryptography.X509Certificates;

namespace Sendoff.Engine.Deliveries;

/// <summary>Egress rules and source addresses of deliveries, as set by the operator (D2, D3).</summary>
public sealed record EgressOptions
{
    public EgressPolicies Policies { get; init; } = new(EgressPolicy.Default);

    /// <summary>Setting <c>Egress:Addresses</c>. Not together with a proxy.</summary>
    public EgressAddresses Addresses { get; init; } = EgressAddresses.Any;

    /// <summary>Setting <c>Egress:Proxy</c>.</summary>
    public EgressProxy? Proxy { get; init; }

    /// <summary>Additional trusted certificates. Setting <c>Tls:Authorities</c>.</summary>
    public X509Certificate2Collection? Authorities { get; init; }

    /// <summary>Addresses and ranges that are published for receivers. Empty if deliveries have no fixed addresses. Setting
    /// <c>Egress:PublicAddresses</c>.</summary>
    public IReadOnlyList<string> PublicAddresses { get; init; } = [];

    /// <summary>Only rules.</summary>
    public static implicit operator EgressOptions(EgressPolicy policy) => new() { Policies = new(policy) };
}

/// <summary>The rules for each workflow: those of the server, and its own ones if the operator set any (D2).</summary>
public sealed class EgressPolicies
{
    readonly Dictionary<string, EgressPolicy> byWorkflow = new(StringComparer.OrdinalIgnoreCase);
    readonly EgressPolicy unknown;

    public EgressPolicies(EgressPolicy server)
        : this(server, []) { }

    /// <param name="server">The rules for all workflows.</param>
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

    /// <summary>The workflows with their own rules, by name.</summary>
    public IEnumerable<EgressLayer> Workflows =>
        byWorkflow.Values.Select(policy => policy.Layers[0]).OrderBy(layer => layer.Workflow, StringComparer.Ordinal);

    /// <summary>The rules for a workflow's deliveries.</summary>
    /// <param name="workflow">Its name, in any case; null if it is deleted: then the deny rules of all workflows apply.</param>
    public EgressPolicy Of(string? workflow) =>
        byWorkflow.Count == 0 ? Server
        : workflow is null ? unknown
        : byWorkflow.GetValueOrDefault(workflow, Server);
}
