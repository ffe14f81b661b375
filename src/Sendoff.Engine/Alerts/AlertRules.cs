using System.IO.Enumeration;
using Sendoff.Engine.Deliveries;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Engine.Workflows;

namespace Sendoff.Engine.Alerts;

/// <summary>The alert rules, cached from the store.</summary>
public sealed class AlertRules(IStore store, WorkflowCatalog catalog, SmtpOptions smtp, EngineLimits limits) : IStoreCache, IDisposable
{
    public const int LongestName = 100,
        MostAddresses = 20;
    public static readonly TimeSpan LongestQuiet = TimeSpan.FromDays(7),
        ShortestBacklog = TimeSpan.FromSeconds(1),
        LongestBacklog = TimeSpan.FromDays(7);

    readonly SemaphoreSlim changing = new(1);
    TaskCompletionSource change = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>By name.</summary>
    public IReadOnlyList<AlertRule> Current { get; private set; } = [];

    /// <summary>Completes when <see cref="Current"/> has changed.</summary>
    internal Task Change => Volatile.Read(ref change).Task;

    public AlertRule? Find(AlertId id) => Current.FirstOrDefault(rule => rule.Id == id);

    /// <summary>Reads the rules from the store. Call once.</summary>
    public async Task LoadAsync(CancellationToken ct)
    {
        Current = await store.ListAlertsAsync(ct).ConfigureAwait(false);
        Interlocked.Exchange(ref change, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }

    Cached IStoreCache.Content => Cached.Alerts;

    async Task IStoreCache.RefreshAsync(CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        await LoadAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Stores a new or changed rule. Returns null, or the error if it is invalid, and then changes nothing.</summary>
    public async Task<string?> SaveAsync(AlertRule rule, CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        if (FindFault(rule) is { } fault)
            return fault;
        await store.SaveAlertAsync(rule, ct).ConfigureAwait(false);
        await LoadAsync(CancellationToken.None).ConfigureAwait(false);
        return null;
    }

    /// <summary>Returns false if it does not exist.</summary>
    public async Task<bool> DeleteAsync(AlertId id, CancellationToken ct)
    {
        using var entry = await changing.EnterAsync(ct).ConfigureAwait(false);
        bool isDeleted = await store.DeleteAlertAsync(id, ct).ConfigureAwait(false);
        await LoadAsync(CancellationToken.None).ConfigureAwait(false);
        return isDeleted;
    }

    string? FindFault(AlertRule rule) =>
        rule.Name.Length is 0 or > LongestName || rule.Name.Any(char.IsControl)
            ? $"'name' must have 1 to {LongestName} characters without control characters."
        : Current.Any(other => other.Id != rule.Id && other.Name == rule.Name)
            ? $"An alert '{rule.Name}' already exists. Use another name, or change the existing alert."
        : Current.Count >= limits.Alerts && Find(rule.Id) is null
            ? $"There are {limits.Alerts} alerts, which is the limit. Delete one first."
        : rule.Workflow is { } name && !catalog.Names.Contains(name) && Find(rule.Id)?.Workflow != name
            ? $"There is no workflow '{name}'.{Suggestion(name)} Omit 'workflow' for all workflows."
        : rule.Causes == AlertCauses.None ? "'on' is empty. Name at least one of run_failed, delivery_failed, backlog."
        : rule.Quiet < TimeSpan.Zero || rule.Quiet > LongestQuiet ? "'quietSeconds' must be a whole number from 0 to 604800 (7 days)."
        : rule.BacklogAge is { } age && (age < ShortestBacklog || age > LongestBacklog)
            ? "'backlogSeconds' must be a whole number from 1 to 604800 (7 days)."
        : rule.BacklogRuns is < 1 ? "'backlogRuns' must be a whole number, at least 1."
        : rule.Kind == AlertKind.Email ? FaultOfAddresses(rule.Target)
        : FaultOfUrl(rule.Target);

    string Suggestion(string name) => Spelling.Closest(name, catalog.Names) is { } near ? $" Did you mean '{near}'?" : "";

    static string? FaultOfUrl(IReadOnlyList<string> target) =>
        target is not [{ Length: > 0 } url] ? "'url' is missing. Expected the URL to which messages are sent."
        : !Uri.TryCreate(url, UriKind.Absolute, out var parsed)
        || parsed.Scheme is not ("http" or "https")
        || parsed.UserInfo.Length > 0
        || !HttpSyntax.IsUrl(url)
            ? $"'url' is '{url}'. Expected an absolute http or https URL without user and password, such as https://example.com/alerts."
        : null;

    string? FaultOfAddresses(IReadOnlyList<string> target)
    {
        if (smtp.Host is null)
            return "No mail server is set, so no email can be sent. Set Smtp:Host (docs/operating.md, Email), or choose webhook or slack.";
        if (!EmailSender.IsAddress(smtp.From ?? smtp.Username ?? smtp.To ?? ""))
            return "No sender address is set. Set Smtp:From (docs/operating.md, Email).";
        if (target.Count == 0)
            return smtp.To is null ? "'to' is empty, and no default recipient is set. Set addresses in 'to', or set Smtp:To." : null;
        if (target.Count > MostAddresses)
            return $"'to' has {target.Count} addresses. The limit is {MostAddresses}.";
        if (target.FirstOrDefault(static one => !EmailSender.IsAddress(one) || one.Any(char.IsControl)) is { } wrong)
            return $"'to' has '{wrong}', which is not an email address.";
        // AllowTo applies to these emails as to those of steps; without it all emails go to Smtp:To.
        if (limits.EmailAllowTo.Count == 0)
            return target is [var only] && only == smtp.To
                ? null
                : $"Without the setting Smtp:AllowTo, every email goes to Smtp:To ({smtp.To ?? "not set"}). Leave 'to' empty, "
                    + "or add the addresses to Smtp:AllowTo.";
        return
            target.FirstOrDefault(one => !limits.EmailAllowTo.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, one)))
                is { } refused
            ? $"'{refused}' matches no pattern of Smtp:AllowTo. Add it, or *{refused[refused.LastIndexOf('@')..]}, to that setting."
            : null;
    }

    /// <summary>The time of a rule's last message; null if there was none.</summary>
    public static DateTimeOffset? LastTold(IEnumerable<AlertState> states, AlertId rule) =>
        states
            .Where(state => state.Alert == rule && state.ToldAt > DateTimeOffset.UnixEpoch)
            .Select(static state => (DateTimeOffset?)state.ToldAt)
            .Max();

    public void Dispose() => changing.Dispose();
}
