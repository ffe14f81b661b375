using Sendoff.Engine.Deliveries;

namespace Sendoff.Commands;

/// <summary>Creates the egress rules and source addresses from the settings. Invalid ones cause a one-line error.</summary>
static class EgressSetup
{
    /// <param name="allow">Allow rules in addition to those of the settings.</param>
    public static EgressOptions Create(Settings settings, params IEnumerable<string> allow)
    {
        if (settings.EgressAddresses.Count > 0 && settings.EgressProxy is not null)
            throw new CommandException(
                "Egress:Addresses and Egress:Proxy are both set, but deliveries through a proxy use the proxy's addresses; "
                    + "remove one of the two",
                ExitCode.Usage
            );
        foreach (var address in settings.EgressAddresses)
        {
            if (EgressAddresses.FindFault(address) is { } fault)
                throw new SettingsException(
                    "Egress:Addresses",
                    string.Join(", ", settings.EgressAddresses),
                    $"addresses of this machine; {address} cannot be used: {fault}"
                );
        }
        return new EgressOptions
        {
            Policies = ReadPolicies(settings, [.. settings.EffectiveAllow, .. allow]),
            Addresses = new EgressAddresses(settings.EgressAddresses),
            Proxy = settings.EgressProxy,
            Authorities = settings.ReadAuthorities(),
            PublicAddresses =
                settings.EgressPublicAddresses.Count > 0
                    ? settings.EgressPublicAddresses
                    : [.. settings.EgressAddresses.Select(a => a.ToString())],
        };
    }

    static EgressPolicies ReadPolicies(Settings settings, IReadOnlyList<string> allow)
    {
        try
        {
            return new EgressPolicies(
                new EgressPolicy(allow, settings.EgressDeny),
                settings.EgressWorkflows.Select(w => new EgressLayer(w.Key, w.Value.Allow, w.Value.Deny))
            );
        }
        catch (FormatException x)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
    }
}
