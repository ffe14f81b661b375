using Xunit.Sdk;
using Xunit.v3;

[assembly: TestCollectionOrderer(typeof(Sendoff.Tests.Support.LongestFirst))]

namespace Sendoff.Tests.Support;

/// <summary>Starts with the longest test collections, so that no processor is idle at the end. The others follow by name.</summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    static readonly string[] longest =
    [
        "browser",
        "PackageTests",
        "ShutdownTests",
        "EveryEndpointTests",
        "CrashTests",
        "PackageSandboxTests",
        "ForgedPackageTests",
        "PackageLimitTests",
        "RunCommandTests",
        "ServeCommandTests",
        "EscapeTests",
        "RunCompletionTests",
    ];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [
            .. testCollections
                .OrderBy(static one => PlaceOf(one.TestCollectionDisplayName))
                .ThenBy(static one => one.TestCollectionDisplayName, StringComparer.Ordinal),
        ];

    static int PlaceOf(string collection)
    {
        int place = Array.FindIndex(longest, name => collection.Contains(name, StringComparison.Ordinal));
        return place < 0 ? longest.Length : place;
    }
}
