namespace Sendoff.Engine.Workers;

/// <summary>The arguments of <c>bwrap</c>: the parts of the machine that are visible in a worker's sandbox.</summary>
internal static class Bubblewrap
{
    public const string Node = "/sendoff/node",
        Harness = "/sendoff/harness",
        Socket = "/sendoff/socket",
        Authorities = "/sendoff/authorities.pem",
        Program = "/workflow";

    static readonly string[] SystemFolders = ["/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin"];

    // Files for name resolution, TLS and the loader; none that contains users or keys.
    static readonly string[] Etc =
    [
        "resolv.conf",
        "hosts",
        "host.conf",
        "nsswitch.conf",
        "gai.conf",
        "services",
        "protocols",
        "localtime",
        "timezone",
        "mime.types",
        "alternatives",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "ssl/certs",
        "ssl/cert.pem",
        "ssl/openssl.cnf",
        "ca-certificates/extracted",
        "pki/tls/certs",
        "pki/tls/cert.pem",
        "pki/tls/openssl.cnf",
        "pki/ca-trust/extracted",
        "crypto-policies",
    ];

    /// <summary>The arguments that are the same for all workers.</summary>
    /// <param name="users">A folder with the <c>passwd</c> and <c>group</c> of the sandbox.</param>
    public static List<string> Common(SandboxOptions options, string node, string harness, string users)
    {
        List<string> list =
        [
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
            "--uid",
            "1000",
            "--gid",
            "1000",
            "--hostname",
            "sendoff",
            "--ro-bind",
            "/usr",
            "/usr",
        ];
        if (!options.HasNetwork)
            list.Add("--unshare-net");
        foreach (string folder in SystemFolders)
        {
            var info = new DirectoryInfo(folder);
            if (!info.Exists)
                continue;
            if (info.LinkTarget is { } target)
                list.AddRange("--symlink", target, folder);
            else
                list.AddRange("--ro-bind", folder, folder);
        }
        list.AddRange("--ro-bind-try", "/nix/store", "/nix/store");
        foreach (string name in Etc)
            list.AddRange("--ro-bind-try", "/etc/" + name, "/etc/" + name);
        list.AddRange("--ro-bind", Path.Combine(users, "passwd"), "/etc/passwd", "--ro-bind", Path.Combine(users, "group"), "/etc/group");
        // If the server runs as root, files of root in /proc (sys, sysrq-trigger) are writable without any capability; files in /dev and /
        // would use unlimited memory.
        list.AddRange("--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev");
        list.AddRange("--perms", "1777", "--size", $"{options.TmpBytes}", "--tmpfs", "/tmp");
        foreach (string folder in options.Readable)
            list.AddRange("--ro-bind-try", folder, folder);
        list.AddRange("--ro-bind", node, Node, "--ro-bind", harness, Harness);
        if (options.Authorities is { } file)
            list.AddRange("--ro-bind", file, Authorities, "--setenv", NodeRuntime.AuthoritiesVariable, Authorities);
        return list;
    }

    public static string[] Own(string room, string socket) => ["--ro-bind", room, Program, "--ro-bind", socket, Socket];

    public static readonly string[] Last = ["--chdir", "/tmp", "--remount-ro", "/", "--"];

    static void AddRange(this List<string> list, params ReadOnlySpan<string> items)
    {
        foreach (string item in items)
            list.Add(item);
    }

    /// <summary>The user of the steps.</summary>
    public static void WriteUsers(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "passwd"), "step:x:1000:1000::/tmp:/usr/sbin/nologin\n");
        File.WriteAllText(Path.Combine(folder, "group"), "step:x:1000:\n");
    }
}
