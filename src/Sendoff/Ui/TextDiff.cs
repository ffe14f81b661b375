using DiffPlex.DiffBuilder;
using DiffPlex.DiffBuilder.Model;

namespace Sendoff.Ui;

/// <param name="Sign"><c>+</c> added, <c>-</c> removed, space unchanged, <c>…</c> omitted lines, and 0 for a gap beside a line of the other
/// side.</param>
/// <param name="Before">The line number in the old text, from 1.</param>
public sealed record DiffLine(char Sign, int? Before, int? After, string Text);

/// <summary>A line-by-line comparison of two texts.</summary>
/// <param name="IsCut">Not all lines are shown.</param>
public sealed record TextDiff(IReadOnlyList<DiffLine> Lines, int Added, int Removed, bool IsCut)
{
    const int Context = 3,
        MostLines = 5_000,
        MostShown = 600;

    /// <summary>Changes with a few unchanged lines around them, in one column; null if the texts are too long to compare.</summary>
    public static TextDiff? Unified(string before, string after)
    {
        if (IsTooLong(before) || IsTooLong(after))
            return null;
        var all = new List<DiffLine>();
        int old = 0,
            now = 0;
        foreach (var piece in InlineDiffBuilder.Diff(before, after, ignoreWhiteSpace: false).Lines)
        {
            // A missing file has no lines, not an empty one.
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

    /// <summary>Both texts side by side, with corresponding lines aligned; null if the texts are too long to compare.</summary>
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

    /// <summary>Replaces unchanged lines far from a change with one line that gives their number.</summary>
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

/// <summary>The change of a file between two versions.</summary>
/// <param name="Diff">Null if the file is too long to compare.</param>
public sealed record FileDiff(string Path, FileChange Change, TextDiff? Diff)
{
    /// <summary>The files that differ, lock files last.</summary>
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
