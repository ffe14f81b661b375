using System.Net;
using System.Net.Sockets;

namespace Sendoff.Engine.Deliveries;

/// <summary>The allowed targets of deliveries (D1, D2). Special ranges are denied unless an allow rule matches. A deny rule takes
/// precedence over an allow rule, except the rule <c>*</c>, which denies everything that no allow rule of the same layer matches.</summary>
/// <remarks>A rule is <c>10.1.0.0/16</c>, <c>10.1.2.3</c>, <c>fd00::/8</c>, <c>api.example.com</c>, <c>*.example.com</c> (names below it)
/// or <c>*</c>, optionally followed by ports, <c>:443</c> or <c>:8000-8099</c>; an IPv6 range with ports has brackets:
/// <c>[fd00::/8]:443</c>. A workflow's rules come before the server's: a deny rule of either takes precedence over an allow rule of either,
/// and <c>*</c> is evaluated in the order of the layers.</remarks>
public sealed class EgressPolicy
{
    readonly EgressLayer[] layers;

    /// <summary>Only the default deny table.</summary>
    public static readonly EgressPolicy Default = new([], []);

    /// <param name="allow">Setting <c>Egress:Allow</c>.</param>
    /// <param name="deny">Setting <c>Egress:Deny</c>.</param>
    /// <exception cref="FormatException">A text is not a valid rule; the message has the setting, the text and the error.</exception>
    public EgressPolicy(IEnumerable<string> allow, IEnumerable<string> deny) => layers = [new EgressLayer(null, allow, deny)];

    EgressPolicy(EgressLayer[] layers) => this.layers = layers;

    /// <summary>The layers in order: the workflow's rules, then the server's.</summary>
    public IReadOnlyList<EgressLayer> Layers => layers;

    /// <summary>Adds a layer before these rules.</summary>
    public EgressPolicy With(EgressLayer nearer) => new([nearer, .. layers]);

    /// <summary>The reason for blocking a host; null if all of its addresses are allowed. One denied address blocks the host.</summary>
    /// <param name="host">The URL's host: a name, or the address itself.</param>
    internal string? FindBlock(string host, IReadOnlyList<IPAddress> addresses, int port)
    {
        foreach (var address in addresses)
            if (FindBlock(host, address, port) is { } reason)
                return reason;
        return null;
    }

    string? FindBlock(string host, IPAddress address, int port)
    {
        // A mapped address is connected to as IPv4.
        var dialled = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        string what =
            host == dialled.ToString()
                ? host
                : $"{host} {(IPAddress.TryParse(host, out _) ? "stands for" : "resolves to")} {dialled}, which";
        if (FindReason(host, dialled, port) is { } reason)
            return $"{what} {reason}";
        // D1: an address that is routed to an IPv4 address gets the result of that address.
        var inner = SpecialRanges.Embedded(dialled);
        return inner is not null && FindReason(host, inner, port) is { } innerReason
            ? $"{what} stands for {inner}, which {innerReason}"
            : null;
    }

    string? FindReason(string host, IPAddress address, int port)
    {
        foreach (var layer in layers)
        {
            if (layer.FindDeny(host, address, port, isCatchAll: false) is { } rule)
                return $"is denied by the rule \"{rule.Text}\" of the setting {layer.DenySetting}; no connection was made; to allow it, "
                    + "change that rule";
        }
        foreach (var layer in layers)
        {
            if (layer.Allows(host, address, port))
                return null;
            if (layer.FindDeny(host, address, port, isCatchAll: true) is { } rule)
                return $"is denied by the rule \"{rule.Text}\" of the setting {layer.DenySetting}; {Remedy(layer, address, port)}";
        }
        return SpecialRanges.Find(address) is { } range
            ? $"lies in {range.Network} ({range.Meaning}); {Remedy(layers[^1], address, port)}"
            : null;
    }

    /// <summary>How to allow exactly this target: in the layer that denies it, or in the workflow's.</summary>
    string Remedy(EgressLayer denying, IPAddress address, int port)
    {
        string target = address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]:{port}" : $"{address}:{port}";
        string text = $"no connection was made; to allow exactly this, add \"{target}\" to the setting {denying.AllowSetting}";
        return ReferenceEquals(denying, layers[0]) ? text : $"{text}, or to {layers[0].AllowSetting} for this workflow alone";
    }
}

/// <summary>One layer of the policy: the server's rules, or those of one workflow.</summary>
public sealed class EgressLayer
{
    readonly EgressRule[] allow,
        deny;

    /// <param name="workflow">The workflow's name; null for the server's.</param>
    /// <exception cref="FormatException">A text is not a valid rule; the message has the setting, the text and the error.</exception>
    public EgressLayer(string? workflow, IEnumerable<string> allow, IEnumerable<string> deny)
    {
        Workflow = workflow;
        this.allow = [.. allow.Select(text => EgressRule.Parse(AllowSetting, text))];
        this.deny = [.. deny.Select(text => EgressRule.Parse(DenySetting, text))];
    }

    public string? Workflow { get; }
    public IEnumerable<string> Allow => allow.Select(rule => rule.Text);
    public IEnumerable<string> Deny => deny.Select(rule => rule.Text);
    internal string AllowSetting => $"{Prefix}:Allow";
    internal string DenySetting => $"{Prefix}:Deny";

    string Prefix => Workflow is null ? "Egress" : $"Egress:Workflows:{Workflow}";

    internal bool Allows(string host, IPAddress address, int port)
    {
        foreach (var rule in allow)
            if (rule.Matches(host, address, port))
                return true;
        return false;
    }

    internal EgressRule? FindDeny(string host, IPAddress address, int port, bool isCatchAll)
    {
        foreach (var rule in deny)
            if (rule.IsCatchAll == isCatchAll && rule.Matches(host, address, port))
                return rule;
        return null;
    }
}

/// <summary>One rule of the egress policy: addresses or names, and ports.</summary>
internal sealed record EgressRule(string Text, IPNetwork? Network, string? Host, int FromPort, int ToPort)
{
    /// <summary>The rule <c>*</c>: every host, on its ports.</summary>
    public bool IsCatchAll => Network is null && Host == "*";

    public bool Matches(string host, IPAddress address, int port)
    {
        if (port < FromPort || port > ToPort)
            return false;
        if (Network is { } network)
            return network.Contains(address);
        if (Host == "*")
            return true;
        host = host.TrimEnd('.');
        return Host!.StartsWith("*.", StringComparison.Ordinal)
            ? host.Length > Host.Length - 1 && host.EndsWith(Host[1..], StringComparison.OrdinalIgnoreCase)
            : host.Equals(Host, StringComparison.OrdinalIgnoreCase);
    }

    public static EgressRule Parse(string setting, string text)
    {
        string what = text.Trim(),
            ports = "";
        int close = what.IndexOf(']');
        int colon = what.LastIndexOf(':');
        if (what.StartsWith('[') && close > 0)
        {
            if (close + 1 < what.Length && what[close + 1] != ':')
                throw Bad(setting, text, "after ']' comes ':' and a port");
            ports = close + 1 < what.Length ? what[(close + 1)..] : "";
            what = what[1..close];
        }
        else if (colon >= 0 && what.IndexOf(':') == colon)
        {
            ports = what[colon..];
            what = what[..colon];
        }
        var (from, to) = ParsePorts(setting, text, ports);
        if (what.Contains('/'))
            return new EgressRule(text.Trim(), ParseNetwork(setting, text, what), null, from, to);
        if (what.Contains(':'))
            return IPAddress.TryParse(what, out var six)
                ? new EgressRule(text.Trim(), new IPNetwork(six, 128), null, from, to)
                : throw Bad(setting, text, "not an IPv6 address");
        string name = what.StartsWith("*.", StringComparison.Ordinal) ? what[2..] : what;
        if (what == "*")
            return new EgressRule(text.Trim(), null, "*", from, to);
        if (!HttpSyntax.TryParseHost(name, out string? host, out var literal))
            throw Bad(setting, text, "neither an address, a range nor a host name");
        if (literal is null)
            return new EgressRule(text.Trim(), null, what.Length == name.Length ? host.TrimEnd('.') : $"*.{host.TrimEnd('.')}", from, to);
        if (literal.ToString() != what)
            throw Bad(setting, text, $"write the address in full: {literal}");
        return new EgressRule(text.Trim(), new IPNetwork(literal, 32), null, from, to);
    }

    static (int From, int To) ParsePorts(string setting, string text, string ports)
    {
        if (ports.Length == 0)
            return (1, 65_535);
        string[] ends = ports[1..].Split('-');
        if (
            ends.Length > 2
            || !int.TryParse(ends[0], out int from)
            || !int.TryParse(ends[^1], out int to)
            || from < 1
            || to > 65_535
            || from > to
        )
            throw Bad(setting, text, "the port is a number from 1 to 65535, or two of them with '-'");
        return (from, to);
    }

    static IPNetwork ParseNetwork(string setting, string text, string what)
    {
        string[] halves = what.Split('/');
        if (halves.Length != 2 || !IPAddress.TryParse(halves[0], out var address) || !int.TryParse(halves[1], out int bits))
            throw Bad(setting, text, "not a range like 10.0.0.0/8");
        byte[] bytes = address.GetAddressBytes();
        if (bits < 0 || bits > bytes.Length * 8)
            throw Bad(setting, text, $"the prefix is a number from 0 to {bytes.Length * 8}");
        for (int i = bits; i < bytes.Length * 8; i++)
            bytes[i / 8] &= (byte)~(0x80 >> (i % 8));
        // 10.0.0.1/8 is ambiguous: it could mean one address or the range.
        var first = new IPAddress(bytes);
        return first.Equals(address) ? new IPNetwork(first, bits) : throw Bad(setting, text, $"did you mean {first}/{bits}?");
    }

    static FormatException Bad(string setting, string text, string why) => new($"{setting}: \"{text}\" is not a valid egress rule: {why}");
}
