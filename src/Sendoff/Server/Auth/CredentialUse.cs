namespace Sendoff.Server.Auth;

/// <summary>Links a request to its credential. When the session ends or the token is revoked, the request is aborted.</summary>
internal sealed class CredentialUse : IDisposable
{
    // Timers are limited to 49 days. A request that is aborted after this time can be made again.
    static readonly TimeSpan longest = TimeSpan.FromDays(40);

    readonly CancellationTokenSource over;
    readonly CancellationTokenRegistration abort;

    CredentialUse(HttpContext context, TimeSpan left, TimeProvider time, CancellationToken ended)
    {
        var timer = new CancellationTokenSource(left < longest ? left : longest, time);
        over = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, ended);
        abort = over.Token.Register(static context => ((HttpContext)context!).Abort(), context);
        context.Response.RegisterForDispose(timer);
        context.Response.RegisterForDispose(this);
    }

    /// <summary>From now on, the request is aborted when the credential ends.</summary>
    /// <param name="left">Remaining lifetime of the credential.</param>
    public static void Begin(HttpContext context, TimeSpan left, TimeProvider time, CancellationToken ended) =>
        context.Features.Set(new CredentialUse(context, left, time, ended));

    /// <summary>For a request that ends its own credential, so that it still gets a response.</summary>
    public static void Outlive(HttpContext context) => context.Features.Get<CredentialUse>()?.Dispose();

    public void Dispose()
    {
        abort.Dispose();
        over.Dispose();
    }
}
