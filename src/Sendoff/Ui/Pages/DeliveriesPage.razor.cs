using Microsoft.AspNetCore.Components;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;
using Sendoff.Ui.Live;

namespace Sendoff.Ui.Pages;

public sealed partial class DeliveriesPage
{
    ListDocument<DeliveryDocument> page = new([], null);
    IReadOnlyList<string> workflows = [];
    string? mistake;

    [SupplyParameterFromQuery]
    public string? Host { get; set; }

    [SupplyParameterFromQuery]
    public string? Workflow { get; set; }

    [SupplyParameterFromQuery]
    public string? Status { get; set; }

    [SupplyParameterFromQuery]
    public string? Code { get; set; }

    [SupplyParameterFromQuery]
    public string? Phase { get; set; }

    [SupplyParameterFromQuery]
    public string? Since { get; set; }

    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    [SupplyParameterFromQuery]
    public string? Cursor { get; set; }

    /// <summary><c>page</c> selects all boxes.</summary>
    [SupplyParameterFromQuery]
    public string? Select { get; set; }

    /// <summary>The result of a resend; null if there was none.</summary>
    [SupplyParameterFromQuery]
    public string? Resent { get; set; }

    [SupplyParameterFromQuery]
    public string? Underway { get; set; }

    [SupplyParameterFromQuery]
    public string? Gone { get; set; }

    [CascadingParameter]
    public HttpContext Http { get; set; } = null!;

    DeliveryQuery Query => new(Host, Workflow, Status, Code, Phase, Since, Q, Cursor);

    bool AreAllSelected => Select == "page";

    string? Notice
    {
        get
        {
            int resent = Count(Resent),
                underway = Count(Underway),
                gone = Count(Gone);
            if (string.IsNullOrEmpty(Resent))
                return null;
            if (resent + underway + gone == 0)
                return "Nothing was resent: select deliveries that have ended.";
            return $"{Words.Count(resent)} "
                + $"resent{(underway > 0 ? $", {Words.Count(underway)} skipped (under way)" : "")}"
                + $"{(gone > 0 ? $", {Words.Count(gone)} skipped (gone)" : "")}";
        }
    }

    protected override async Task OnInitializedAsync()
    {
        if (PageParts.Has(Http, "filter"))
            workflows = [.. (await Store.ListWorkflowsAsync(Http.RequestAborted)).Select(one => one.Name)];
        if (Query.Filter(Time, ApiInput.LimitDefault, out mistake) is { } filter)
            page = ListDocument<DeliveryDocument>.From(await Store.ListDeliveriesAsync(filter, Http.RequestAborted), DeliveryDocument.From);
    }

    bool IsTaken(DeliveryDocument delivery) => Names.TryParse(delivery.Status, out DeliveryStatus status) && Query.Takes(status);

    static int Count(string? text) => int.TryParse(text, out int count) && count > 0 ? count : 0;
}
