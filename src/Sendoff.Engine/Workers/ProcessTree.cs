using System.Globalization;

namespace Sendoff.Engine.Workers;

/// <summary>Resource usage of a process and its descendants (Linux; zeros elsewhere).</summary>
/// <param name="Threads">Threads of all processes; each has at least one.</param>
/// <param name="Bytes">Private and shared memory, without mapped files.</param>
internal readonly record struct ProcessTree(int Threads, long Bytes)
{
    sealed record Entry(int Id, int Parent, int Threads, long Bytes);

    /// <summary>Reads the tree below a process. In a sandbox, an orphaned process gets the sandbox's first process as its parent, so none
    /// leaves the tree.</summary>
    public static ProcessTree Read(int root)
    {
        if (!OperatingSystem.IsLinux())
            return default;
        var all = ReadAll();
        var children = all.ToLookup(static one => one.Parent);
        var waiting = new Stack<Entry>(all.Where(one => one.Id == root));
        var sum = default(ProcessTree);
        while (waiting.TryPop(out var one))
        {
            sum = new(sum.Threads + one.Threads, sum.Bytes + one.Bytes);
            foreach (var child in children[one.Id])
                waiting.Push(child);
        }
        return sum;
    }

    static List<Entry> ReadAll()
    {
        try
        {
            return [.. Directory.EnumerateDirectories("/proc").Select(ReadEntry).OfType<Entry>()];
        }
        catch (IOException)
        {
            return []; // no file descriptor is left for it now
        }
    }

    static Entry? ReadEntry(string folder)
    {
        if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            return null;
        try
        {
            int parent = 0,
                threads = 0;
            long kilobytes = 0;
            foreach (string line in File.ReadLines(Path.Combine(folder, "status")))
            {
                if (line.StartsWith("PPid:", StringComparison.Ordinal))
                    parent = (int)Number(line);
                else if (line.StartsWith("Threads:", StringComparison.Ordinal))
                    threads = (int)Number(line);
                else if (line.StartsWith("RssAnon:", StringComparison.Ordinal) || line.StartsWith("RssShmem:", StringComparison.Ordinal))
                    kilobytes += Number(line);
            }
            return new(id, parent, threads, kilobytes * 1024);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // it has ended
        }
    }

    static long Number(string line)
    {
        var digits = line.AsSpan(line.IndexOf(':') + 1).Trim(" \t");
        int end = digits.IndexOfAnyExceptInRange('0', '9');
        return long.Parse(end < 0 ? digits : digits[..end], NumberStyles.None, CultureInfo.InvariantCulture);
    }
}
