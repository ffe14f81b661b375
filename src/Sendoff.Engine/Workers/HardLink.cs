using System.Runtime.InteropServices;

namespace Sendoff.Engine.Workers;

/// <summary>Creates hard links.</summary>
static partial class HardLink
{
    /// <summary>Copies the file if it cannot be linked, for example to another disk.</summary>
    public static void CreateOrCopy(string existing, string name)
    {
        bool linked = OperatingSystem.IsWindows() ? CreateOnWindows(name, existing, 0) : Create(existing, name) == 0;
        if (!linked)
            File.Copy(existing, name);
    }

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Create(string existing, string name);

    [LibraryImport("kernel32", EntryPoint = "CreateHardLinkW", StringMarshalling = StringMarshalling.Utf16)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool CreateOnWindows(string name, string existing, nint security);
}
