using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Sendoff.Tests;

/// <summary><c>GetString</c> of System.Text.Json fails at an escaped half of a surrogate pair, which every JSON may hold.</summary>
public sealed partial class ForeignJsonTests
{
    /// <summary>Files whose JSON is checked or mended before they parse it, was written by the server, or is only checked for its
    /// syntax.</summary>
    static readonly string[] exceptions =
    [
        "Sendoff.Engine/Deliveries/EmailSender.cs",
        "Sendoff.Engine/JsonSyntax.cs",
        "Sendoff.Engine/Runs/StepAccounts.cs",
        "Sendoff.Engine/Runs/StepStores.cs",
        "Sendoff.Engine/Secrets/Credentials.cs",
        "Sendoff.Engine/Storage/StoredJson.cs",
        "Sendoff.Engine/Storage/StoredResumption.cs",
        "Sendoff.Engine/Workers/WorkerMessages.cs",
        "Sendoff/Commands/InputText.cs",
        "Sendoff/Commands/RunCommand.cs",
        "Sendoff/Server/Api/ApiInput.cs",
        "Sendoff/Server/Api/RawJson.cs",
        "Sendoff/Server/Triggers/FileEndpoint.cs",
        "Sendoff/Ui/Editor/DraftSession.cs",
        "Sendoff/Ui/Editor/SampleEvent.cs",
    ];

    [Fact]
    public void Json_of_others_is_parsed_where_halves_of_surrogate_pairs_are_mended()
    {
        string root = Root();
        var found = Directory
            .EnumerateFiles(root, "*.cs", SearchOption.AllDirectories)
            .Where(static file => Parse().IsMatch(File.ReadAllText(file)))
            .Select(file => Path.GetRelativePath(root, file).Replace(Path.DirectorySeparatorChar, '/'))
            .Where(static file => !file.Contains("/obj/", StringComparison.Ordinal));

        Assert.Equal(exceptions.Order(StringComparer.Ordinal), found.Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"\bJson(?:Element|Document|Node)\.Parse(?:Async|Value)?\(")]
    private static partial Regex Parse();

    static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "src"));
}
