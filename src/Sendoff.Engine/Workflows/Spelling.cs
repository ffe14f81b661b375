namespace Sendoff.Engine.Workflows;

/// <summary>Suggests the closest known word.</summary>
public static class Spelling
{
    /// <summary>Returns the known word closest to <paramref name="typed"/>, or null if none is close: up to one mistake in three
    /// letters.</summary>
    public static string? Closest(string typed, IEnumerable<string> known)
    {
        string? closest = null;
        int fewest = Math.Max(1, typed.Length / 3) + 1;
        foreach (string word in known)
        {
            int mistakes = Mistakes(Plain(typed), Plain(word));
            if (mistakes >= fewest)
                continue;
            (closest, fewest) = (word, mistakes);
        }
        return closest;
    }

    /// <summary>The hint for an unknown word.</summary>
    public static string Hint(string typed, IReadOnlyCollection<string> known) =>
        Closest(typed, known) is { } meant ? $"did you mean `{meant}`?" : $"use one of {string.Join(", ", known)}";

    // lambdaTimeout is lambda_timeout.
    static string Plain(string word) => string.Concat(word.Where(char.IsAsciiLetterOrDigit)).ToLowerInvariant();

    /// <summary>The number of missing, added, changed or transposed letters.</summary>
    static int Mistakes(string a, string b)
    {
        var rows = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
        for (int j = 0; j <= b.Length; j++)
        {
            if (i == 0 || j == 0)
                rows[i, j] = i + j;
            else
            {
                int change = rows[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                rows[i, j] = Math.Min(change, 1 + Math.Min(rows[i - 1, j], rows[i, j - 1]));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    rows[i, j] = Math.Min(rows[i, j], rows[i - 2, j - 2] + 1);
            }
        }
        return rows[a.Length, b.Length];
    }
}
