using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine.Storage;

namespace Sendoff.Server.Api;

/// <summary>The traffic of a run or of one delivery, for other tools: <c>…/har</c> and <c>…/curl</c>.</summary>
internal static class ExportApi
{
    public static void Map(IEndpointRouteBuilder api)
    {
        var runs = api.MapGroup("/runs/{id}").WithTags("Runs");
        runs.MapGet("/har", RunHarAsync).WithSummary("A run's traffic as HTTP Archive 1.2, a file to save");
        runs.MapGet("/curl", RunCurlAsync).WithSummary("A run's requests as curl commands").Produces<string>(contentType: "text/plain");
        var deliveries = api.MapGroup("/deliveries/{id}").WithTags("Deliveries");
        deliveries.MapGet("/har", DeliveryHarAsync).WithSummary("A delivery's attempts as HTTP Archive 1.2, a file to save");
        deliveries.MapGet("/curl", DeliveryCurlAsync).WithSummary("A delivery's request as a curl command").Produces<string>(contentType: "text/plain");
    }

    static async Task<Results<FileContentHttpResult, Problem>> RunHarAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var (deliveries, problem) = await OfRunAsync(id, request, store, ct);
        return problem is null ? Har(id, deliveries) : problem;
    }

    static async Task<Results<ContentHttpResult, Problem>> RunCurlAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var (deliveries, problem) = await OfRunAsync(id, request, store, ct);
        return problem is null ? Text(CurlCommand.Of(id, deliveries)) : problem;
    }

    static async Task<Results<FileContentHttpResult, Problem>> DeliveryHarAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var (delivery, problem) = await OfDeliveryAsync(id, request, store, ct);
        return problem is null ? Har(id, [delivery!]) : problem;
    }

    static async Task<Results<ContentHttpResult, Problem>> DeliveryCurlAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var (delivery, problem) = await OfDeliveryAsync(id, request, store, ct);
        return problem is null ? Text(CurlCommand.Of(delivery!)) : problem;
    }

    static async Task<(IReadOnlyList<DeliveryDocument> Deliveries, Problem? Problem)> OfRunAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var run = input.Run(id);
        if (input.Problem is { } problem) return ([], problem);
        if (await store.GetRunOutlineAsync(run, ct) is not { } outline) return ([], RunsApi.Missing(id));
        // The document of a run leaves out what is large; a delivery's has it.
        var all = new List<DeliveryDocument>(outline.Sends.Count);
        foreach (var send in outline.Sends)
            if (await store.GetDeliveryAsync(send.Id, ct) is { } stored) all.Add(DeliveryDocument.From(stored));
        return ([.. all.Where(IsHttp)], null);
    }

    static async Task<(DeliveryDocument? Delivery, Problem? Problem)> OfDeliveryAsync(string id, HttpRequest request, IStore store, CancellationToken ct)
    {
        var input = ApiInput.Of(request);
        var delivery = input.Delivery(id);
        if (input.Problem is { } problem) return (null, problem);
        if (await store.GetDeliveryAsync(delivery, ct) is not { } stored) return (null, DeliveriesApi.Missing(id));
        var document = DeliveryDocument.From(stored);
        return IsHttp(document) ? (document, null)
            : (null, new Problem(StatusCodes.Status422UnprocessableEntity, "Not HTTP", $"{id} went to the destination {document.Destination}: only HTTP requests can be exported."));
    }

    static bool IsHttp(DeliveryDocument delivery) => delivery.Destination == "http";

    static FileContentHttpResult Har(string id, IEnumerable<DeliveryDocument> deliveries) =>
        TypedResults.Bytes(JsonSerializer.SerializeToUtf8Bytes(HarExport.From(deliveries), HarJson.Default.HarDocument), "application/json", id + ".har");

    static ContentHttpResult Text(string text) => TypedResults.Text(text, "text/plain", Encoding.UTF8);
}
