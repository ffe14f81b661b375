using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Sendoff.Engine;
using Sendoff.Engine.Runs;
using Sendoff.Engine.Storage;
using Sendoff.Server.Api;
using Sendoff.Ui.Controls;
using Sendoff.Ui.Pages;

namespace Sendoff.Ui;

/// <summary>Input in the form of a data store.</summary>
public sealed record StoreFields(string Key, string Value, string Ttl);

/// <summary>Actions of the buttons on a data store's page.</summary>
internal static class StoreActions
{
    public static void Map(WebApplication app)
    {
        app.MapPost("/stores/{name}/set", SetAsync).ExcludeFromDescription();
        app.MapPost("/stores/{name}/delete", DeleteAsync).ExcludeFromDescription();
    }

    /// <summary>Redirects to the new value, or shows the input again if it is refused.</summary>
    static async Task<IResult> SetAsync(
        string name,
        HttpRequest request,
        IStore store,
        EngineContext engine,
        Concealment concealment,
        CancellationToken ct
    )
    {
        var form = await UiEndpoints.FormAsync(request, ct);
        var typed = new StoreFields(form["key"].ToString(), form["value"].ToString().Trim(), form["ttl"].ToString().Trim());
        byte[] json = Encoding.UTF8.GetBytes(typed.Value);
        double? ttl =
            typed.Ttl.Length == 0 ? null
            : double.TryParse(typed.Ttl, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) ? seconds
            : 0;
        string? fault =
            (
                DataStoreRules.FaultOfName(name)
                ?? DataStoreRules.FaultOfKey(typed.Key, concealment.Mask)
                ?? DataStoreRules.FaultOfValue(json, engine.Limits)
                ?? (ttl is { } given ? DataStoreRules.FaultOfTtl(given) : null)
            )?.Message
            ?? (RawJson.TryParse(typed.Value) is null ? "The value is not JSON. Text is JSON in quotes: \"paid\"." : null);
        if (fault is null)
        {
            var now = engine.Time.GetUtcNow();
            var outcome = await store.SetValueAsync(
                new(default, name),
                new(typed.Key, json, now, ttl is { } life ? now.AddSeconds(life) : null),
                DataStoreRules.RoomOf(engine.Limits),
                ct
            );
            fault = DataStoreRules.FaultOf(outcome, name, engine.Limits)?.Message;
        }
        return fault is null
            ? Results.LocalRedirect(Words.Url(PathOf(name), ("key", typed.Key)))
            : Page(name, typed, Words.Sentence(fault));
    }

    static async Task<IResult> DeleteAsync(string name, HttpRequest request, IStore store, CancellationToken ct)
    {
        await store.DeleteValueAsync(new(default, name), (await UiEndpoints.FormAsync(request, ct))["key"].ToString(), ct);
        return Results.LocalRedirect(PathOf(name));
    }

    internal static string PathOf(string name) => "/stores/" + Uri.EscapeDataString(name);

    static RazorComponentResult<StorePage> Page(string name, StoreFields typed, string mistake) =>
        new(
            new Dictionary<string, object?>
            {
                ["Name"] = name,
                ["Typed"] = typed,
                ["Mistake"] = mistake,
            }
        )
        {
            StatusCode = StatusCodes.Status422UnprocessableEntity,
        };
}
