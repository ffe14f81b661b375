using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary>Exports of a run or of one delivery for other tools: <c>…/har</c> and <c>…/curl</c>.</summary>
internal static class ExportApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var runs = api.MapGroup("/runs/{id}").WithTags("Runs");
        runs.MapGet("/har", RunHarAsync)
            .WithName("getRunHar")
            .WithSummary("Requests and responses of a run as HTTP Archive 1.2, as a download");
        runs.MapGet("/curl", RunCurlAsync)
            .WithName("getRunCurl")
            .WithSummary("A run's requests as curl commands")
            .Produces<string>(contentType: "text/plain");
        var deliveries = api.MapGroup("/deliveries/{id}").WithTags("Deliveries");
        deliveries
            .MapGet("/har", DeliveryHarAsync)
            .WithName("getDeliveryHar")
            .WithSummary("Attempts of a delivery as HTTP Archive 1.2, as a download");
        deliveries
            .MapGet("/curl", DeliveryCurlAsync)
            .WithName("getDeliveryCurl")
            .WithSummary("A delivery's request as a curl command")
            .Produces<string>(contentType: "text/plain");
    }

    static async Task<Results<PushStreamHttpResult, Problem>> RunHarAsync(
        string id,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var (outline, problem) = await OfRunAsync(id, request, store, ct);
        return problem is null ? Har(id, EachAsync(outline!, store, ct), ct) : problem;
    }

    static async Task<Results<PushStreamHttpResult, Problem>> RunCurlAsync(
        string id,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var (outline, problem) = await OfRunAsync(id, request, store, ct);
        return problem is null ? Curl(id, EachAsync(outline!, store, ct), ct) : problem;
    }

    static async Task<Results<PushStreamHttpResult, Problem>> DeliveryHarAsync(
        string id,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var (delivery, problem) = await OfDeliveryAsync(id, request, store, ct);
        return problem is null ? Har(id, new[] { delivery! }.ToAsyncEnumerable(), ct) : problem;
    }

    static async Task<Results<PushStreamHttpResult, Problem>> DeliveryCurlAsync(
        string id,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var (delivery, problem) = await OfDeliveryAsync(id, request, store, ct);
        return problem is null ? Curl(id, new[] { delivery! }.ToAsyncEnumerable(), ct) : problem;
    }

    static async Task<(RunOutline? Outline, Problem? Problem)> OfRunAsync(
        string id,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (input.Problem is { } problem)
            return (null, problem);
        return await store.GetRunOutlineAsync(run, ct) is { } outline ? (outline, null) : (null, RunsApi.Missing(id));
    }

    /// <summary>Reads one delivery at a time, because all bodies of a run together may be too large for memory (S8). Unlike the run's
    /// document, a delivery's document contains large bodies.</summary>
    static async IAsyncEnumerable<DeliveryDocument> EachAsync(
        RunOutline outline,
        IStore store,
        [EnumeratorCancellation] CancellationToken ct
    )
    {
        foreach (var send in outline.Sends)
        {
            if (await store.GetDeliveryAsync(send.Id, ct) is not { } stored)
                continue;
            var delivery = DeliveryDocument.From(stored);
            if (IsHttp(delivery))
                yield return delivery;
        }
    }

    static async Task<(DeliveryDocument? Delivery, Problem? Problem)> OfDeliveryAsync(
        string id,
        HttpRequest request,
        IStore store,
        CancellationToken ct
    )
    {
        var input = ApiInput.Of(request);
        var delivery = input.Delivery(id);
        if (input.Problem is { } problem)
            return (null, problem);
        if (await store.GetDeliveryAsync(delivery, ct) is not { } stored)
            return (null, DeliveriesApi.Missing(id));
        var document = DeliveryDocument.From(stored);
        return IsHttp(document)
            ? (document, null)
            : (
                null,
                new Problem(
                    StatusCodes.Status422UnprocessableEntity,
                    "Not HTTP",
                    $"{id} has the destination {document.Destination}, but only HTTP requests can be exported."
                )
            );
    }

    static bool IsHttp(DeliveryDocument delivery) => delivery.Destination == "http";

    static PushStreamHttpResult Har(string id, IAsyncEnumerable<DeliveryDocument> deliveries, CancellationToken ct) =>
        TypedResults.Stream(output => HarExport.WriteAsync(output, deliveries, ct), "application/json", id + ".har");

    static PushStreamHttpResult Curl(string id, IAsyncEnumerable<DeliveryDocument> deliveries, CancellationToken ct) =>
        TypedResults.Stream(output => CurlCommand.WriteAsync(output, id, deliveries, ct), "text/plain; charset=utf-8");
}
