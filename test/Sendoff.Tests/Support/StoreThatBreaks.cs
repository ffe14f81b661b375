using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Sendoff.Engine.Storage;

namespace Sendoff.Tests.Support;

/// <summary>A real store whose calls all fail while <see cref="Broken"/> is set.</summary>
public class StoreThatBreaks : DispatchProxy
{
    IStore store = null!;

    public Exception? Broken { get; set; }

    /// <summary>Called with the method's name before each call; may delay the call.</summary>
    public Action<string>? Entering { get; set; }

    /// <summary>Number of calls of each method.</summary>
    public ConcurrentDictionary<string, int> Calls { get; } = new();

    /// <summary>Wraps the registered store.</summary>
    internal static void Wrap(IServiceCollection services)
    {
        var registered = services.Single(service => service.ServiceType == typeof(IStore));
        services.Remove(registered);
        services.AddSingleton(provider =>
        {
            var proxy = Create<IStore, StoreThatBreaks>();
            ((StoreThatBreaks)(object)proxy).store = (IStore)registered.ImplementationFactory!(provider);
            return proxy;
        });
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        Calls.AddOrUpdate(targetMethod!.Name, 1, static (_, count) => count + 1);
        Entering?.Invoke(targetMethod.Name);
        return Broken is null ? targetMethod.Invoke(store, BindingFlags.DoNotWrapExceptions, null, args, null) : throw Broken;
    }
}
