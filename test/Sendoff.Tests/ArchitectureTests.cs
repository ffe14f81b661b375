using System.Reflection;
using System.Text.RegularExpressions;
using ArchUnitNET.Domain;
using ArchUnitNET.Fluent;
using ArchUnitNET.Loader;
using Microsoft.Extensions.Logging;
using Sendoff.Engine;
using static ArchUnitNET.Fluent.ArchRuleDefinition;
using Assembly = System.Reflection.Assembly;

namespace Sendoff.Tests;

/// <summary>The never-arrows of docs/architecture.md.</summary>
public sealed partial class ArchitectureTests
{
    static readonly Assembly engine = typeof(EngineLimits).Assembly,
        executable = typeof(Settings).Assembly;
    static readonly Architecture all = new ArchLoader().LoadAssemblies(engine, executable).Build();

    static IObjectProvider<IType> Types(string pattern) => ArchRuleDefinition.Types().That().ResideInNamespaceMatching(pattern).As(pattern);

    public static TheoryData<string, string> NeverArrows =>
        new()
        {
            { "^Sendoff\\.Engine\\.Model", "^Sendoff\\.Engine(\\.(?!Model).*)?$" },
            { "^Sendoff\\.Engine\\.Workflows", "^Sendoff\\.Engine\\.(Runs|Workers|Deliveries|Storage|Secrets)" },
            { "^Sendoff\\.Engine\\.Secrets", "^Sendoff\\.Engine\\.(Runs|Workers|Deliveries|Storage|Workflows)" },
            { "^Sendoff\\.Engine\\.Storage", "^Sendoff\\.Engine\\.(Runs|Workers|Deliveries|Workflows|Packages|Alerts)" },
            { "^Sendoff\\.Engine\\.Deliveries", "^Sendoff\\.Engine\\.(Runs|Workers|Workflows)" },
            { "^Sendoff\\.Engine\\.Packages", "^Sendoff\\.Engine\\.(Runs|Deliveries|Storage|Secrets)" },
            { "^Sendoff\\.Engine\\.Accounts", "^Sendoff\\.Engine\\.(Runs|Workers|Workflows|Packages|Alerts|Storage\\.(Sqlite|Postgres))" },
            { "^Sendoff\\.Engine\\.(Model|Workflows|Secrets|Deliveries|Workers|Packages|Storage|Alerts)", "^Sendoff\\.Engine\\.Accounts" },
            { "^Sendoff\\.Engine\\.Workers", "^Sendoff\\.Engine\\.(Storage|Runs|Workflows|Packages)" },
            { "^Sendoff\\.Engine\\.(Runs|Workers|Deliveries|Workflows|Secrets|Packages)", "^Sendoff\\.Engine\\.Alerts" },
            { "^Sendoff\\.Engine\\.Alerts", "^Sendoff\\.Engine\\.(Packages|Storage\\.(Sqlite|Postgres))" },
            { "^Sendoff\\.Engine\\.Storage$", "^Sendoff\\.Engine\\.Storage\\.(Sqlite|Postgres)" },
            { "^Sendoff\\.Engine\\.(Runs|Workers|Deliveries|Workflows)", "^Sendoff\\.Engine\\.Storage\\.(Sqlite|Postgres)" },
            { "^Sendoff\\.(Ui|Server|Commands)", "^Sendoff\\.Engine\\.Storage\\.(Sqlite|Postgres)" },
            { "^Sendoff\\.Ui", "^Sendoff\\.Engine\\.Workers\\.Worker" },
            { "^Sendoff\\.Server\\.Api", "^Sendoff\\.Ui" },
        };

    static void Check(IArchRule rule) =>
        Assert.Empty(rule.Evaluate(all).Where(result => !result.Passed).Select(result => result.Description));

    [Theory]
    [MemberData(nameof(NeverArrows))]
    public void A_room_never_calls_one_that_stands_before_it(string from, string to)
    {
        Check(
            ArchRuleDefinition
                .Types()
                .That()
                .ResideInNamespaceMatching(from)
                .Should()
                .NotDependOnAny(Types(to))
                .WithoutRequiringPositiveResults()
        );
    }

    [Fact]
    public void What_every_room_shares_calls_no_room_but_the_model()
    {
        const string composition = "^Sendoff\\.Engine\\.(EngineServiceCollectionExtensions|EngineService|EngineOptions|DatabaseState)(/|$)";
        Check(
            ArchRuleDefinition
                .Types()
                .That()
                .ResideInNamespaceMatching("^Sendoff\\.Engine$")
                .And()
                .DoNotHaveFullNameMatching(composition)
                .Should()
                .NotDependOnAny(Types("^Sendoff\\.Engine\\.(?!Model)"))
        );
    }

    [Fact]
    public void The_engine_knows_no_web_framework_and_no_command_line()
    {
        string[] forbidden = ["Microsoft.AspNetCore", "System.CommandLine", "Spectre.Console"];
        Assert.DoesNotContain(engine.GetReferencedAssemblies(), a => forbidden.Any(f => a.Name!.StartsWith(f, StringComparison.Ordinal)));
    }

    [Fact]
    public void An_event_id_belongs_to_one_log_line()
    {
        var ids = new[] { engine, executable }
            .SelectMany(static assembly => assembly.GetTypes())
            .SelectMany(static type =>
                type.GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            )
            .Select(static method => (method.Name, method.GetCustomAttribute<LoggerMessageAttribute>()?.EventId))
            .Where(static line => line.EventId is not null)
            .ToList();
        Assert.True(ids.Count > 40, $"only {ids.Count} log lines were found");
        Assert.Empty(
            ids.GroupBy(static line => line.EventId)
                .Where(static lines => lines.Count() > 1)
                .Select(static lines => $"{lines.Key}: {string.Join(", ", lines.Select(line => line.Name))}")
        );
    }

    /// <summary><c>$</c> also matches before a line break at the end: a pattern that checks a whole text ends in <c>\z</c>.</summary>
    [Fact]
    public void A_pattern_ends_at_the_end_of_its_text()
    {
        const BindingFlags any = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        var patterns = new[] { engine, executable }
            .SelectMany(static one => one.GetTypes())
            .SelectMany(static type => type.GetMembers(any))
            .Select(static member => member.GetCustomAttribute<GeneratedRegexAttribute>())
            .OfType<GeneratedRegexAttribute>()
            .ToList();
        Assert.NotEmpty(patterns);
        Assert.Empty(
            patterns
                .Where(static one => !one.Options.HasFlag(RegexOptions.Multiline) && Anchor().IsMatch(one.Pattern))
                .Select(static one => one.Pattern)
        );
    }

    /// <summary>Patterns look at code and projects of others. A pattern whose steps grow with the square of the text needs minutes for what
    /// a download may hold.</summary>
    [Fact]
    public void A_pattern_takes_no_square_of_its_text()
    {
        const BindingFlags any = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        // .NET runs through spaces many at a time.
        const int length = 120_000,
            spaces = 300_000;
        string[] starts =
        [
            "",
            "a@",
            "${",
            "$.",
            "import",
            "from ",
            "version:\"",
            "key:",
            "npm:",
            "a/b;a=\"",
            "$respond",
            "this.",
            "multipart/x-mixed-replace",
        ];
        string[] pumps = [" ", "a", "1.", "-", "/", "@", "a=b;", "\\\"", "A__", "$."];
        var patterns = new[] { engine, executable }
            .SelectMany(static one => one.GetTypes())
            .SelectMany(static type => type.GetMembers(any))
            .Select(static member => member.GetCustomAttribute<GeneratedRegexAttribute>())
            .OfType<GeneratedRegexAttribute>()
            .Select(static one => new Regex(one.Pattern, one.Options, TimeSpan.FromSeconds(5)))
            .ToList();
        var slow =
            from start in starts
            from pump in pumps
            let text = $"{start}{string.Concat(Enumerable.Repeat(pump, (pump == " " ? spaces : length) / pump.Length))}\0"
            from pattern in patterns
            where start.Length < 5 || pattern.ToString().Contains(start[..3], StringComparison.Ordinal)
            where !Ends(pattern, text)
            select $"{pattern} at {start}{pump}{pump}...";
        Assert.Empty(slow.DistinctBy(static one => one.Split(" at ")[0]));
    }

    static bool Ends(Regex pattern, string text)
    {
        try
        {
            _ = pattern.IsMatch(text);
            return true;
        }
        catch (RegexMatchTimeoutException)
        {
            return false;
        }
    }

    [GeneratedRegex(@"\A(?:[^\\\[$]|\\.|\[\^?\]?(?:[^\]\\]|\\.)*\])*\$")]
    private static partial Regex Anchor();

    [Fact]
    public void Only_workers_start_processes_and_only_the_worker_room_names_them()
    {
        Check(
            Classes()
                .That()
                .DoNotResideInNamespaceMatching("^Sendoff\\.Engine\\.Workers")
                .Should()
                .NotDependOnAny(typeof(System.Diagnostics.Process))
        );
    }

    [Fact]
    public void Only_composition_sees_the_service_provider()
    {
        Check(Classes().That().ResideInNamespaceMatching("^Sendoff\\.Engine\\.").Should().NotDependOnAny(typeof(IServiceProvider)));
    }

    [Fact]
    public void The_harness_imports_nothing_but_node_and_itself()
    {
        string harness = Path.Combine(AppContext.BaseDirectory, "harness");
        var imports = Directory
            .EnumerateFiles(harness, "*.mjs")
            .SelectMany(file => ImportedModule().Matches(File.ReadAllText(file)))
            .Select(m => m.Groups[1].Value)
            .ToList();
        Assert.NotEmpty(imports);
        Assert.All(
            imports,
            source =>
                Assert.True(
                    source.StartsWith("node:", StringComparison.Ordinal) || source.StartsWith("./", StringComparison.Ordinal),
                    source
                )
        );
    }

    [GeneratedRegex("""^(?:import|export)\b[^'";]*?\bfrom '([^']+)'""", RegexOptions.Multiline)]
    private static partial Regex ImportedModule();
}
