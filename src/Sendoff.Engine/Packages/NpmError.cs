using System.Text.Json;
using System.Text.RegularExpressions;
using Sendoff.Engine.Workers;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Packages;

/// <summary>The error of npm, with its code and message.</summary>
internal sealed record NpmError(string Code, string Summary, string Detail)
{
    /// <summary>What npm is told that git is. It does not exist.</summary>
    public const string NoGit = "no-git";
    public const string OnlyRegistry = "npm installs from its registry only: use a version that is published there";

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

    /// <summary>Of a connection that the sandbox's proxy did not make: npm knows only that it was not made.</summary>
    public static NpmError Of(ProxyFault fault) => new(fault.Code ?? Refused, fault.Authority, "");

    const string Refused = "refused";

    /// <summary>At the import that is to blame; at the first one when it is a package that the packages need.</summary>
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
                $"npm cannot reach its registry ({Code}), so '{package.Folder}' is not installed",
                "look at `npm config get registry` and the network, and try again"
            ),
            Refused => PackagePlan.Problem(
                import,
                $"npm or an install script tried to connect to {Summary}, which is not the registry",
                $"if packages come from there, add it to the setting Packages:Hosts"
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
            _ => PackagePlan.Problem(import, $"npm cannot install what is imported: {Summary}{(Code.Length > 0 ? $" ({Code})" : "")}"),
        };
    }

    // 'name@range', npm:name@range, or name at the end of a URL, where a scope's slash is escaped.
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
