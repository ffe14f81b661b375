using DiffPlex.DiffBuilder;
using DiffPlex.DiffBuilder.Model;

namespace Sendoff.Ui;

/// <param name="Sign"><c>+</c> only after, <c>-</c> only before, a space in both, <c>…</c> for lines left out, and 0 where the other side
/// has one more.</param>
/// <param name="Before">The line's number there, from 1.</param>
public sealed record DiffLine(char Sign, int? Before, int? After, string Text);

/// <summary>Two texts compared line by line.</summary>
/// <param name="IsCut">There are more lines than are shown.</param>
public sealed record TextDiff(IReadOnlyList<DiffLine> Lines, int Added, int Removed, bool IsCut)
{
    const int Context = 3,
        MostLines = 5_000,
        MostShown = 600;

    /// <summary>One below the other, with a few unchanged lines around what differs; null when there is too much to compare.</summary>
    public static TextDiff? Unified(string before, string after)
    {
        if (IsTooLong(before) || IsTooLong(after))
            return null;
        var all = new List<DiffLine>();
        int old = 0,
            now = 0;
        foreach (var piece in InlineDiffBuilder.Diff(before, after, ignoreWhiteSpace: false).Lines)
        {
            // A file that is not there has no line, also not an empty one.
            if (piece.Text.Length == 0 && (piece.Type == ChangeType.Deleted ? before : after).Length == 0)
                continue;
            all.Add(
                piece.Type switch
                {
                    ChangeType.Inserted => new('+', null, ++now, piece.Text),
                    ChangeType.Deleted => new('-', ++old, null, piece.Text),
                    _ => new(' ', ++old, ++now, piece.Text),
                }
            );
        }
        var shown = Fold(all);
        return new(
            [.. shown.Take(MostShown)],
            all.Count(static line => line.Sign == '+'),
            all.Count(static line => line.Sign == '-'),
            shown.Count > MostShown
        );
    }

    /// <summary>Side by side, each line at the height of its other; null when there is too much to compare.</summary>
    public static (IReadOnlyList<DiffLine> Before, IReadOnlyList<DiffLine> After)? SideBySide(string before, string after)
    {
        if (IsTooLong(before) || IsTooLong(after))
            return null;
        var model = SideBySideDiffBuilder.Diff(before, after, ignoreWhiteSpace: false);
        return (
            [.. model.OldText.Lines.Take(MostShown).Select(static piece => From(piece, '-'))],
            [.. model.NewText.Lines.Take(MostShown).Select(static piece => From(piece, '+'))]
        );
    }

    static DiffLine From(DiffPiece piece, char sign) =>
        piece.Type switch
        {
            ChangeType.Imaginary => new('\0', null, null, ""),
            ChangeType.Unchanged => new(' ', piece.Position, piece.Position, piece.Text),
            _ => new(sign, piece.Position, piece.Position, piece.Text),
        };

    static bool IsTooLong(string text) => text.AsSpan().Count('\n') > MostLines || text.Length > MostLines * 100;

    /// <summary>Equal lines far from what differs become one that counts them.</summary>
    static List<DiffLine> Fold(List<DiffLine> all)
    {
        var shown = new List<DiffLine>();
        for (int at = 0; at < all.Count; )
        {
            int end = at;
            while (end < all.Count && all[end].Sign == ' ')
                end++;
            int head = at == 0 ? 0 : Context,
                tail = end == all.Count ? 0 : Context,
                folded = end - at - head - tail;
            if (folded > 1)
            {
                shown.AddRange(all[at..(at + head)]);
                shown.Add(new('…', null, null, $"{folded} unchanged lines"));
                shown.AddRange(all[(end - tail)..end]);
            }
            else
                shown.AddRange(all[at..end]);
            for (at = end; at < all.Count && all[at].Sign != ' '; at++)
                shown.Add(all[at]);
        }
        return shown;
    }
}

public enum FileChange
{
    Changed,
    Added,
    Removed,
}

/// <summary>What became of a file between two versions.</summary>
/// <param name="Diff">Null when the file is too long to be compared.</param>
public sealed record FileDiff(string Path, FileChange Change, TextDiff? Diff)
{
    /// <summary>Those that differ, lock files last.</summary>
    public static IReadOnlyList<FileDiff> Of(IReadOnlyDictionary<string, string> before, IReadOnlyDictionary<string, string> after) =>
        [
            .. before
                .Keys.Union(after.Keys)
                .Where(path => before.GetValueOrDefault(path) != after.GetValueOrDefault(path))
                .OrderBy(static path => path.EndsWith("-lock.json", StringComparison.Ordinal))
                .ThenBy(static path => path, StringComparer.Ordinal)
                .Select(path => new FileDiff(
                    path,
                    !before.ContainsKey(path) ? FileChange.Added
                        : !after.ContainsKey(path) ? FileChange.Removed
                        : FileChange.Changed,
                    TextDiff.Unified(before.GetValueOrDefault(path, ""), after.GetValueOrDefault(path, ""))
                )),
        ];
}
