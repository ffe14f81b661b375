namespace Sendoff.Ui.Live;

/// <summary>The live parts of a page that a request asks for: those that Scripts/live.js reads again, or all.</summary>
internal static class PageParts
{
    const string Header = "x-parts";

    public static bool Has(HttpContext context, string part) =>
        context.Request.Headers[Header] is not [{ } names] || names.Split(',').Contains(part, StringComparer.Ordinal);
}
