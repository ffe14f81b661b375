namespace Sendoff.Tests.Storage;

/// <remarks>Alerts, what they have told, and their messages (H).</remarks>
public abstract partial class StoreConformanceTests
{
    AlertRule NewAlert(string name = "ops") =>
        new(
            new(Ids.Next()),
            name,
            "orders",
            AlertCauses.RunFailed | AlertCauses.Backlog,
            AlertKind.Slack,
            ["https://hooks.example.com/secret"],
            TimeSpan.FromMinutes(15),
            true,
            TimeSpan.FromSeconds(90),
            7
        );

    Delivery[] MessageOf(Run run) =>
        [
            new(
                new(Ids.Next()),
                run.Id,
                run.WorkspaceId,
                run.WorkflowId,
                0,
                0,
                "https://hooks.example.com:443",
                new("POST", "https://hooks.example.com/", [], "{}"u8.ToArray()),
                DeliveryStatus.Pending
            ),
        ];

    async Task<(bool IsStored, Run Run)> TellAsync(AlertState? state)
    {
        var received = new Event(new(Ids.Next()), WorkspaceId.Default, SystemWorkflow.Alerts, "alert", Clock.GetUtcNow(), "{}"u8.ToArray());
        var run = End(new QueuedRun(new(Ids.Next()), received, 0));
        return (await Store.TellAsync(state, received, run, MessageOf(run), Ct), run);
    }

    [Fact]
    public async Task Alerts_are_kept_changed_and_deleted_with_what_they_told()
    {
        var (ops, night) = (
            NewAlert(),
            NewAlert("night") with
            {
                Workflow = null,
                Kind = AlertKind.Email,
                Target = [],
                BacklogAge = null,
                BacklogRuns = null,
            }
        );
        foreach (var alert in new[] { ops, night })
            await Store.SaveAlertAsync(alert, Ct);
        var kept = await Store.ListAlertsAsync(Ct);
        Assert.Equal(["night", "ops"], kept.Select(alert => alert.Name));
        Assert.Equal(
            (ops.Target[0], ops.Causes, ops.BacklogAge, ops.BacklogRuns),
            (kept[1].Target[0], kept[1].Causes, kept[1].BacklogAge, kept[1].BacklogRuns)
        );
        Assert.Equal((null, null, 0), (kept[0].Workflow, kept[0].BacklogAge, kept[0].Target.Count));

        var state = AlertState.Of(ops.Id, workflow.Id) with
        {
            QuietUntil = Clock.GetUtcNow(),
            Failing = AlertCauses.Backlog,
            Runs = 3,
            Run = new(5),
        };
        await Store.SaveAlertStatesAsync([state, state with { Alert = new(1) }, state with { Workflow = new(2) }], Ct);
        await CrashAsync();
        // Of an alert or a workflow that is not there nothing is kept.
        Assert.Equal(state, Assert.Single(await Store.ListAlertStatesAsync(Ct)));
        await Store.SaveAlertAsync(ops with { Name = "renamed" }, Ct);
        Assert.Single(await Store.ListAlertStatesAsync(Ct));
        Assert.True(await Store.DeleteAlertAsync(ops.Id, Ct));
        Assert.False(await Store.DeleteAlertAsync(ops.Id, Ct));
        Assert.Empty(await Store.ListAlertStatesAsync(Ct));
    }

    [Fact]
    public async Task A_message_is_stored_with_what_was_told_or_not_at_all()
    {
        var alert = NewAlert();
        await Store.SaveAlertAsync(alert, Ct);
        var (isStored, run) = await TellAsync(AlertState.Of(alert.Id, workflow.Id) with { ToldAt = Clock.GetUtcNow() });
        Assert.True(isStored);
        Assert.Equal(SystemWorkflow.AlertsName, (await Store.GetRunAsync(run.Id, Ct))!.WorkflowName);
        await Store.DeleteAlertAsync(alert.Id, Ct);
        var (isLate, late) = await TellAsync(AlertState.Of(alert.Id, workflow.Id));
        Assert.False(isLate);
        Assert.Null(await Store.GetRunAsync(late.Id, Ct));
        Assert.Null(await Store.GetEventAsync(late.EventId, Ct));
        // It is pending after a crash, unlike a run it is never run again, and it is pruned as any other.
        await CrashAsync();
        Assert.Empty(await Store.ListUnfinishedRunsAsync(10, null, Ct));
        var delivery = Assert.Single(await Store.ListPendingAsync("https://hooks.example.com:443", null, 10, Ct));
        Assert.Equal([delivery.Id], await Store.MarkSendingAsync([delivery.Id], Ct));
        await Store.RecordBlockedAsync(delivery.Id, new(AttemptErrorCode.BlockedByEgressPolicy, AttemptPhase.Dns, "no"), Ct);
        while ((await Store.PruneAsync(Clock.GetUtcNow().AddDays(1), 0, Ct)).More) { }
        Assert.Null(await Store.GetRunAsync(run.Id, Ct));
        Assert.Null(await Store.GetEventAsync(run.EventId, Ct));
    }

    [Fact]
    public async Task The_workflow_of_alerts_is_in_no_list_and_nothing_changes_or_deletes_it()
    {
        Assert.DoesNotContain(await Store.ListWorkflowsAsync(Ct), one => one.Id == SystemWorkflow.Alerts);
        Assert.Null(await Store.GetWorkflowAsync(SystemWorkflow.AlertsName, Ct));
        Assert.False(await Store.SetEnabledAsync(SystemWorkflow.AlertsName, false, Ct));
        Assert.False(await Store.DeleteWorkflowAsync(SystemWorkflow.AlertsName, Ct));
        Assert.True((await TellAsync(null)).IsStored);
        // Nor does it count as an invocation.
        Assert.DoesNotContain(
            await Store.ListUsageAsync(DateOnly.MinValue, Ct),
            row => row.Runs > 0 && row.Workflow == SystemWorkflow.AlertsName
        );
    }

    [Fact]
    public async Task A_backlog_is_what_is_pending_below_an_id_by_workflow_without_messages_of_alerts()
    {
        var run = await AcceptAsync();
        var sends = Sends(run, 3, status: DeliveryStatus.Pending);
        await Store.FinishRunAsync(End(run), sends, Ct);
        await TellAsync(null);
        Assert.Empty(await Store.ListBacklogAsync(sends[0].Id, 100, Ct));
        Assert.Equal(new PendingBacklog(workflow.Id, 2, sends[0].Id), Assert.Single(await Store.ListBacklogAsync(sends[2].Id, 100, Ct)));
        Assert.Equal(1, Assert.Single(await Store.ListBacklogAsync(sends[2].Id, 1, Ct)).Deliveries);
        await Store.DeleteWorkflowAsync("orders", Ct);
        Assert.Empty(await Store.ListBacklogAsync(new(long.MaxValue), 100, Ct));
    }
}
