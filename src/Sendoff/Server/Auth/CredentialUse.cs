namespace Sendoff.Server.Auth;

/// <summary>Ties a request to the credential that let it in: when a session ends or a token is revoked, what is open under it is
/// closed.</summary>
internal sealed class CredentialUse : IDisposable
{
    // A timer takes 49 days at most. What is cut off then comes back, if it still may.
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

    /// <summary>From now on, the end of the credential closes the request.</summary>
    /// <param name="left">How long the credential lasts by itself.</param>
    public static void Begin(HttpContext context, TimeSpan left, TimeProvider time, CancellationToken ended) =>
        context.Features.Set(new CredentialUse(context, left, time, ended));

    /// <summary>For a request that ends its own credential, and is to be answered.</summary>
    public static void Outlive(HttpContext context) => context.Features.Get<CredentialUse>()?.Dispose();

    public void Dispose()
    {
        abort.Dispose();
        over.Dispose();
    }
}
