using System.Collections.Frozen;
using System.Text.Json;

namespace Sendoff.Server.Api;

/// <summary>Names of states and codes in documents: <c>timed_out</c>, <c>blocked_by_egress_policy</c>.</summary>
internal static class Names
{
    public static string Of<T>(T value)
        where T : struct, Enum => Table<T>.Texts[value];

    public static bool TryParse<T>(string text, out T value)
        where T : struct, Enum => Table<T>.Values.TryGetValue(text, out value);

    public static IEnumerable<string> All<T>()
        where T : struct, Enum => Enum.GetValues<T>().Select(Of);

    /// <summary>Milliseconds, rounded to microseconds.</summary>
    public static double Ms(double ms) => Math.Round(ms, 3);

    public static double? Ms(double? ms) => ms is { } value ? Ms(value) : null;

    public static double Ms(TimeSpan time) => Ms(time.TotalMilliseconds);

    static class Table<T>
        where T : struct, Enum
    {
        public static readonly FrozenDictionary<T, string> Texts = Enum.GetValues<T>()
            .ToFrozenDictionary(v => v, v => JsonNamingPolicy.SnakeCaseLower.ConvertName(v.ToString()));
        public static readonly FrozenDictionary<string, T> Values = Texts.ToFrozenDictionary(t => t.Value, t => t.Key);
    }
}
