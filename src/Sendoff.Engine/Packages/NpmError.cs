using System.Text.Json;
using System.Text.RegularExpressions;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Packages;

/// <summary>An error of npm, with its code and message.</summary>
internal sealed record NpmError(string Code, string Summary, string Detail)
{
    /// <summary>The path given to npm as git. It does not exist.</summary>
    public const string NoGit = "no-git";
    public const string OnlyRegistry = "npm installs only from its registry: use a version that is published there";

    public static NpmError Of(NpmResult result)
    {
        try
        {
            var error = JsonSyntax.ParseForeign(result.Output[Math.Max(result.Output.IndexOf('{'), 0)..]).GetProperty("error");
            string Text(string name) =>
                error.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
            return new(Text("code"), Text("summary") is { Length: > 0 } summary ? summary : result.Reason, Text("detail"));
        }
        catch (Exception x) when (x is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return new("", result.Reason, "");
        }
    }

    /// <summary>The error for a connection that the sandbox's proxy refused or failed to make. npm itself reports only that there is no
    /// connection.</summary>
    public static NpmError Of(ProxyFault fault) => new(fault.Code ?? Refused, fault.Authority, "");

    const string Refused = "refused";

    /// <summary>The problem at the import that caused the error; at the first import for a dependency of a package.</summary>
    public WorkflowProblem ToProblem(PackagePlan plan)
    {
        var blamed = plan
            .Asked.Where(a => IsNamed(a.Package))
            .OrderByDescending(a => IsNamed(a.Package, a.Package.Range ?? "latest"))
            .ToList();
        var (package, import) = blamed.Count > 0 ? blamed[0] : plan.Asked.First();
        bool isOwn = blamed.Count > 0;
        return Code switch
        {
            "E404" when isOwn => PackagePlan.Problem(
                import,
                $"npm has no package '{package.Name}'",
                "correct the name, or run `npm login` for the registry that has it"
            ),
            "ETARGET" or "E404" when isOwn => PackagePlan.Problem(
                import,
                $"the package '{package.Name}' has no version '{package.Range ?? "latest"}'",
                $"see `npm view {package.Name} versions`"
            ),
            "ENOTFOUND"
            or "ECONNREFUSED"
            or "ECONNRESET"
            or "ETIMEDOUT"
            or "EAI_AGAIN"
            or "ERR_SOCKET_TIMEOUT"
            or "ENETUNREACH"
            or "EHOSTUNREACH" => PackagePlan.Problem(
                import,
                $"npm cannot connect to its registry ({Code}), so '{package.Folder}' is not installed",
                "check `npm config get registry` and the network, and try again"
            ),
            Refused => PackagePlan.Problem(
                import,
                $"npm or an install script tried to connect to {Summary}, which is not the registry",
                $"if packages come from that host, add it to the setting Packages:Hosts"
            ),
            "EALLOWGIT" or "EALLOWREMOTE" or "EALLOWFILE" or "EALLOWDIRECTORY" => PackagePlan.Problem(
                import,
                $"a package does not come from the registry: {Summary}",
                OnlyRegistry
            ),
            "ENOENT" when $"{Summary}{Detail}".Contains(NoGit, StringComparison.Ordinal) => PackagePlan.Problem(
                import,
                "a package does not come from the registry: it comes from a git repository",
                OnlyRegistry
            ),
            _ => PackagePlan.Problem(import, $"npm cannot install the imported packages: {Summary}{(Code.Length > 0 ? $" ({Code})" : "")}"),
        };
    }

    // 'name@range', npm:name@range, or a name at the end of a URL, in which the slash of a scope is escaped.
    bool IsNamed(PackageSpecifier package, string range = "") =>
        Regex.IsMatch($"{Summary}\n{Detail}", $"['\": ]{Regex.Escape(package.Name)}@{Regex.Escape(range)}")
        || (
            range.Length == 0
            && Regex.IsMatch(
                Summary,
                $"/{Regex.Escape(package.Name).Replace("/", "(?:/|%2f)", StringComparison.Ordinal)}(?: |$)",
                RegexOptions.IgnoreCase | RegexOptions.Multiline
            )
        );
}
