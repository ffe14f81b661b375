using System.Reflection;
using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Server;

/// <summary>A real store whose every call fails while <see cref="Broken"/> is set.</summary>
public class StoreThatBreaks : DispatchProxy
{
    IStore store = null!;

    public Exception? Broken { get; set; }

    public static (IStore Store, StoreThatBreaks Switch) Of(IStore store)
    {
        var proxy = Create<IStore, StoreThatBreaks>();
        var breaks = (StoreThatBreaks)(object)proxy;
        breaks.store = store;
        return (proxy, breaks);
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Broken is null ? targetMethod!.Invoke(store, args) : throw Broken;
}
