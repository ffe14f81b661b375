using System.Buffers.Text;
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;

namespace Sendoff.Engine.Workers;

/// <summary>Reads the memory usage of a process without its other statistics.</summary>
internal sealed class ProcessMemory : IDisposable
{
    readonly Process process;
    readonly SafeFileHandle? statm;
    readonly byte[] text = new byte[128];

    /// <param name="pid">On Linux, the process to read.</param>
    public ProcessMemory(Process process, int pid)
    {
        this.process = process;
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            statm = File.OpenHandle($"/proc/{pid}/statm");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process has already ended.
        }
    }

    public long Read()
    {
        try
        {
            if (!OperatingSystem.IsLinux())
            {
                process.Refresh();
                return process.WorkingSet64;
            }
            if (statm is null)
                return 0;
            int length = RandomAccess.Read(statm, text, 0);
            var fields = text.AsSpan(0, length); // size resident shared ..., in pages
            fields = fields[(fields.IndexOf((byte)' ') + 1)..];
            return Utf8Parser.TryParse(fields, out long pages, out _) ? pages * Environment.SystemPageSize : 0;
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or ObjectDisposedException)
        {
            return 0;
        }
    }

    public void Dispose() => statm?.Dispose();
}
