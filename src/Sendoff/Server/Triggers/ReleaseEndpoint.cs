using System.Buffers;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Triggers;

/// <summary><c>/resume/{run}/{sign}</c> and <c>/cancel/{run}/{sign}</c>: the URLs of a step's <c>$.flow</c> (B3). The signature is the
/// permission.</summary>
/// <remarks>(1) check the signature  (2) read the body under its limit  (3) resume or end the run.</remarks>
internal sealed class ReleaseEndpoint(
    IStore store,
    Suspensions suspensions,
    FlowLinks links,
    EngineLimits limits,
    ServerSides sides,
    ServerOptions options,
    ILogger<ReleaseEndpoint> log
)
{
    // The response does not reveal whether the run exists.
    static readonly Problem unknown = Problem.NotFound("There is no suspended run at this URL.");

    public Task ResumeAsync(HttpContext context) => HandleAsync(context, FlowLinks.Resume);

    public Task CancelAsync(HttpContext context) => HandleAsync(context, FlowLinks.Cancel);

    Task HandleAsync(HttpContext context, string what) =>
        CallerEndpoint.HandleAsync(
            context,
            HttpTriggerEndpoint.Methods,
            "/" + what,
            log,
            async _ => await (await AnswerAsync(context, what)).ExecuteAsync(context)
        );

    async Task<IResult> AnswerAsync(HttpContext context, string what)
    {
        // A client that only inspects a link must not resume or cancel a run.
        if (HttpMethods.IsHead(context.Request.Method))
            return Results.NoContent();
        // (1) A request without a valid signature costs one read of the run's row, whatever the size of the run and of the request's body.
        var (id, sign) = ((string)context.Request.RouteValues["run"]!, (string)context.Request.RouteValues["sign"]!);
        if (
            !sides.ServesHooks(context)
            || !RunId.TryParse(id, out var run)
            || await store.FindWorkflowAsync(run, context.RequestAborted) is not { } workflow
            || !links.IsOwn(workflow, run, what, sign)
        )
            return unknown;
        // (2)
        if (await Api.WorkflowsApi.ReadBodyAsync(context.Request, limits.TriggerBodyBytes, context.RequestAborted) is not { } body)
            return BodyCoding.TooLarge(limits.TriggerBodyBytes);
        if (BodyCoding.IsCoded(context.Request))
        {
            body = BodyCoding.Decode(context.Request, new(body), limits.TriggerBodyBytes, out var undecoded);
            if (undecoded is not null)
                return undecoded;
        }
        // (3)
        var request = EventWriter
            .Write(
                context.Request,
                "/",
                Origin.UrlOfHook(context.Request, options),
                new ReadOnlySequence<byte>(body),
                proxies: options.TrustedProxies
            )
            .Json;
        return Say(
            what == FlowLinks.Resume
                ? await suspensions.ResumeAsync(run, request, context.RequestAborted)
                : await suspensions.CancelAsync(run, context.RequestAborted),
            what,
            id
        );
    }

    static IResult Say(Release release, string what, string id) =>
        release switch
        {
            { IsDone: true, Next: { } next } => Results.Json(new Api.ReleaseDocument(id, next.ToString())),
            { IsDone: true } => Results.Json(new Api.ReleaseDocument(id, null)),
            _ => Refused(release, what, id),
        };

    internal static Problem Refused(Release release, string what, string id) =>
        release.Status switch
        {
            null => unknown,
            RunStatus.Queued or RunStatus.Running => new(
                StatusCodes.Status409Conflict,
                "Not suspended yet",
                $"The run '{id}' is still executing; try again after it is suspended."
            ),
            var ended => new(
                StatusCodes.Status410Gone,
                "No longer suspended",
                $"The run '{id}' is not suspended: it {(ended == RunStatus.Succeeded ? "was resumed or has ended" : "has ended")}, "
                    + $"and cannot {what}."
            ),
        };
}
