using System.Text;
using Sendoff.Engine.Storage;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>Runs with everything that a document can hold.</summary>
static class SampleRuns
{
    public static readonly DateTimeOffset At = DateTimeOffset.Parse("2026-11-23T14:02:31.207Z");

    /// <summary>A run of a workflow that is stored if it is not there yet.</summary>
    public static async Task<RunId> AddAsync(TestServer server, RunStatus status = RunStatus.Succeeded, string workflow = "orders")
    {
        var of = await DeployAsync(server.Store, workflow);
        return await AddAsync(server.Store, server.Ids, of.Id, status);
    }

    /// <summary>Stores a workflow, without the check of a deploy, if it is not there yet.</summary>
    public static async Task<Workflow> DeployAsync(IStore store, string name) =>
        await store.GetWorkflowAsync(name, default)
        ?? await store.DeployAsync(
            name,
            new Dictionary<string, string> { ["step.js"] = "return 1" },
            [new HttpTrigger(name, TriggerResponse.Default)],
            default
        );

    /// <summary>Three steps; three sends: one delivered, one timed out, one blocked.</summary>
    public static async Task<RunId> AddAsync(IStore store, IdSequence ids, WorkflowId workflow, RunStatus status = RunStatus.Succeeded)
    {
        var received = new Event(
            new(ids.Next()),
            WorkspaceId.Default,
            workflow,
            "http",
            At,
            Utf8(
                """{"method":"POST","path":"/","query":{},"headers":{"content-type":"application/json","authorization":"Bearer of-a-caller"},"body":{"id":1043,"customer":"Ada <b>","total":129.5},"client_ip":"203.0.113.9","url":"http://localhost:5180/hooks/orders"}"""
            )
        );
        var run = new RunId(ids.Next());
        await store.AcceptAsync(new QueuedRun(run, received, 1), default);
        long first = ids.NextBlock(3);
        var sends = new[]
        {
            Send(0, "https://crm.example.com/contacts"),
            Send(1, "https://erp.example.com/v2/orders?source=shop"),
            Send(2, "http://169.254.169.254/latest"),
        };
        await store.FinishRunAsync(Ended(run, received, status), sends, default);
        await store.MarkSendingAsync([sends[0].Id, sends[1].Id], default);
        await store.RecordAttemptAsync(Delivered(sends[0].Id), default);
        await store.RecordAttemptAsync(TimedOut(sends[1].Id), default);
        await store.RecordBlockedAsync(
            sends[2].Id,
            new(
                AttemptErrorCode.BlockedByEgressPolicy,
                AttemptPhase.Connect,
                "169.254.169.254 is link-local (169.254.0.0/16); allow it with Egress:Allow=169.254.169.254/32"
            ),
            default
        );
        return run;

        Delivery Send(int index, string url) =>
            new(
                new(first + index * IdSequence.Stride),
                run,
                WorkspaceId.Default,
                workflow,
                1,
                index,
                new Uri(url).GetLeftPart(UriPartial.Authority),
                new(
                    "POST",
                    url,
                    [new("content-type", "application/json"), new("X-Trace", "a"), new("x-trace", "b")],
                    Utf8("""{"order":1043,"lines":["SKU-7","SKU-9"],"total":129.5,"note":"<script>alert(1)</script>"}""")
                ),
                DeliveryStatus.Pending
            );
    }

    static Run Ended(RunId id, Event received, RunStatus status)
    {
        var error = new StepError(
            "TypeError",
            "Cannot read properties of undefined (reading 'id')",
            null,
            "TypeError: Cannot read properties of undefined (reading 'id')\n    at notify (step.js:4:11)",
            4,
            11
        );
        bool failed = status == RunStatus.Failed;
        return new(
            id,
            received.Id,
            received.WorkspaceId,
            received.WorkflowId,
            1,
            "http",
            status,
            At,
            TimeSpan.FromMilliseconds(12.4),
            TimeSpan.FromMilliseconds(11.9004),
            false,
            false,
            failed ? error : null,
            failed ? error.Message : null,
            new(201, [new("content-type", "application/json")], Utf8("{\"ok\":true}")),
            [
                new(
                    "prepare",
                    0,
                    StepStatus.Succeeded,
                    3.1,
                    Utf8("""{"$return_value":{"notified":3},"$summary":"3 systems"}"""),
                    default,
                    [],
                    [],
                    null
                ),
                new(
                    "notify",
                    1,
                    failed ? StepStatus.Failed : StepStatus.Succeeded,
                    8.3,
                    default,
                    Utf8("""{"channel":"shop"}"""),
                    [new("log", "telling 3 systems about order 1043", At), new("error", "one is <slow>", At)],
                    [new("unknown_send_option", "`body` is not an option of `$send.http`; did you mean `data`?", 14, 3)],
                    failed ? error : null
                ),
                new("thank", 2, failed ? StepStatus.Skipped : StepStatus.Succeeded, 0.5, default, default, [], [], null),
            ]
        );
    }

    static Attempt Delivered(DeliveryId id) =>
        new(
            id,
            1,
            At.AddMilliseconds(13),
            DeliveryStatus.Succeeded,
            Sent,
            new(
                200,
                "1.1",
                [new("content-type", "application/json"), new("set-cookie", "a"), new("set-cookie", "b")],
                Utf8("{\"stored\":true}"),
                true,
                15,
                false
            ),
            null,
            new(0.4, 12.1, 41.3, 96, 0.9, 120.5, 0.2, 271),
            "198.51.100.7",
            "203.0.113.20:443",
            false
        )
        {
            Redirects = [new("POST", "https://crm.example.com/v1/orders", 308, "203.0.113.19:443", "https://crm.example.com/v2/orders")],
        };

    static Attempt TimedOut(DeliveryId id) =>
        new(
            id,
            1,
            At.AddMilliseconds(13),
            DeliveryStatus.Failed,
            Sent,
            null,
            new(AttemptErrorCode.Timeout, AttemptPhase.Wait, "timed out after 5,000 ms while waiting for the response"),
            new(0.4, 12.1, 41.3, 96, 0.9, 4849.7, null, 5000),
            "198.51.100.7",
            "203.0.113.21:443",
            true
        );

    static Header[] Sent =>
        [
            new("Host", "crm.example.com"),
            new("content-type", "application/json"),
            new("user-agent", "sendoff/0.1.0"),
            new("content-length", "88"),
        ];

    static ReadOnlyMemory<byte> Utf8(string text) => Encoding.UTF8.GetBytes(text);
}
