using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Sendoff.Engine.Runs;

namespace Sendoff.Server.Triggers;

/// <summary>Checks whether a request may call an HTTP trigger: its token and its rate (E7).</summary>
internal sealed class TriggerGate(SecretCatalog secrets, TimeProvider time, ILogger<TriggerGate> log)
{
    const string Scheme = "Bearer ";
    static readonly Problem unauthorized = new(
        StatusCodes.Status401Unauthorized,
        "Not allowed",
        "This trigger requires its bearer token: 'Authorization: Bearer <token>'."
    );

    readonly ConcurrentDictionary<string, Allowance> allowances = new(StringComparer.Ordinal);

    /// <summary>Why a request is refused; null if it is accepted and counted.</summary>
    public Problem? Refuse(HttpContext context, string key, HttpTrigger trigger)
    {
        if (trigger.Bearer is { } bearer && !IsShown(context.Request, bearer))
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            return unauthorized;
        }
        if (trigger.Rate is not { } rate)
            return null;
        var allowance = allowances.AddOrUpdate(
            key,
            static (_, rate) => new(rate),
            static (_, known, rate) => known.Rate == rate ? known : new(rate),
            rate
        );
        return allowance.TryTake(time) is { } wait ? TooOften(rate, wait) : null;
    }

    bool IsShown(HttpRequest request, TriggerToken bearer)
    {
        // A token that is not set refuses all requests.
        string? expected = bearer.Value ?? secrets.Environment.GetValueOrDefault(bearer.SecretName!);
        if (string.IsNullOrEmpty(expected))
        {
            log.TokenNotSet(bearer.SecretName!);
            return false;
        }
        string given = request.Headers.Authorization.ToString();
        return given.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase)
            && CryptographicOperations.FixedTimeEquals(Hash(given[Scheme.Length..].Trim()), Hash(expected));
    }

    // Hashes have the same length, so that the comparison does not reveal the token's length.
    static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));

    static Problem TooOften(TriggerRate rate, TimeSpan wait) =>
        new(
            StatusCodes.Status429TooManyRequests,
            "Too often",
            $"This trigger accepts {rate.Count:N0} requests in {rate.Per.TotalSeconds:N0} s (its 'rate')."
        )
        {
            RetryAfterSeconds = (int)Math.Ceiling(wait.TotalSeconds),
        };

    /// <summary>A token bucket that is refilled at the rate.</summary>
    sealed class Allowance(TriggerRate rate)
    {
        readonly Lock gate = new();
        double left = rate.Count;
        long? at;

        public TriggerRate Rate => rate;

        /// <summary>How long to wait for the next request; null if this request is accepted.</summary>
        public TimeSpan? TryTake(TimeProvider time)
        {
            lock (gate)
            {
                long now = time.GetTimestamp();
                left = Math.Min(rate.Count, left + (at is { } before ? time.GetElapsedTime(before, now) / rate.Per * rate.Count : 0));
                at = now;
                if (left < 1)
                    return rate.Per * ((1 - left) / rate.Count);
                left--;
                return null;
            }
        }
    }
}
