using System.Globalization;
using System.Text.Json;
using Sendoff.Server.Api;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Sendoff.Commands;

/// <summary>Prints a run as a tree of steps, logs, sends, responses and waterfalls.</summary>
static class RunPrinter
{
    const int BarWidth = 32,
        MaxText = 400;

    public static void Print(RunDocument run)
    {
        var tree = new Tree(
            Line(
                $"{Mark(run.Status)} [bold]{run.Workflow.EscapeMarkup()}[/] {Words(run.Status)} [grey]· compute {Ms(run.ComputeMs)} · "
                    + $"deliveries {Ms(run.DeliveryMs)}, not counted[/]"
            )
        );
        foreach (var step in run.Steps)
            AddStep(tree, step);
        if (run.Steps.Count == 0 && run.Error is not null)
            tree.AddNode(Line($"[red]{run.Error.Message.EscapeMarkup()}[/]"));
        if (run.Response is { } response)
            tree.AddNode(Line($"[grey]response[/] {response.Status} {Short(response.Body)}"));
        Output.Console.Write(tree);
    }

    public static void Print(DeliveryDocument delivery)
    {
        var tree = new Tree(Line($"{delivery.Id} [grey]of[/] {delivery.RunId}, {delivery.Workflow.EscapeMarkup()}"));
        AddDelivery(tree, delivery);
        Output.Console.Write(tree);
    }

    static void AddStep(Tree tree, StepDocument step)
    {
        var node = tree.AddNode(
            Line($"{Mark(step.Status)} [bold]{step.Name.EscapeMarkup()}[/] {Words(step.Status)} [grey]{Ms(step.DurationMs)}[/]")
        );
        foreach (var log in step.Logs)
            node.AddNode(Line($"[grey]{log.Level}[/] {Clip(log.Text).EscapeMarkup()}"));
        foreach (var warning in step.Warnings)
            node.AddNode(Line($"[yellow]warning{At(warning.Line, warning.Column)}:[/] {warning.Message.EscapeMarkup()}"));
        if (step.Error is { } error)
            node.AddNode(Line($"[red]{error.Name.EscapeMarkup()}{At(error.Line, error.Column)}:[/] {error.Message.EscapeMarkup()}"));
        if (step.Exports.ValueKind == JsonValueKind.Object && step.Exports.EnumerateObject().Any())
            node.AddNode(Line($"[grey]exports[/] {Short(step.Exports.GetRawText())}"));
        foreach (var delivery in step.Deliveries)
            AddDelivery(node, delivery);
    }

    static void AddDelivery(IHasTreeNodes step, DeliveryDocument delivery)
    {
        var node = step.AddNode(
            Line(
                $"{Mark(delivery.Status)} $send.{delivery.Destination} {Markup.Escape($"[{delivery.Index}]")} "
                    + $"[bold]{delivery.Request.Method} {delivery.Request.Url.EscapeMarkup()}[/] {Outcome(delivery)}"
            )
        );
        if (delivery.Request.Body.Length > 0)
            node.AddNode(
                Line($"[grey]request[/] {Body(delivery.Request.Body, delivery.Request.BodyEncoding, delivery.Request.BodyBytes)}")
            );
        foreach (var attempt in delivery.Attempts)
            AddAttempt(node, attempt);
        if (delivery.Error is { } error)
            node.AddNode(Line($"[red]{error.Code}[/] in {error.Phase}: {error.Message.EscapeMarkup()}"));
    }

    static void AddAttempt(TreeNode delivery, AttemptDocument attempt)
    {
        foreach (var hop in attempt.Redirects)
            delivery.AddNode(Line($"[grey]redirect[/] {hop.Status} → {hop.Location.EscapeMarkup()}"));
        if (attempt.Response is { } response)
            delivery.AddNode(
                Line(
                    $"[grey]response[/] {Body(response.Body, response.BodyEncoding, response.BodyBytes)}"
                        + $"{(response.Truncated ? " [yellow]truncated[/]" : "")}"
                )
            );
        delivery.AddNode(Line(Waterfall(attempt.Timing)));
        if (attempt.RemoteAddress is not null)
            delivery.AddNode(
                Line(
                    $"[grey]{(attempt.LocalAddress is null ? "" : $"from {attempt.LocalAddress} ")}to {attempt.RemoteAddress}, "
                        + $"{(attempt.ConnectionReused ? "connection reused" : "new connection")}[/]"
                )
            );
    }

    // The phases as a bar with proportional parts, and as numbers.
    static string Waterfall(TimingDocument timing)
    {
        (string Name, string Colour, double? Ms)[] phases =
        [
            ("dns", "purple", timing.DnsMs),
            ("connect", "darkorange", timing.ConnectMs),
            ("tls", "deeppink3", timing.TlsMs),
            ("write", "steelblue1", timing.WriteMs),
            ("wait", "green", timing.WaitMs),
            ("read", "blue", timing.ReadMs),
        ];
        var happened = phases.Where(p => p.Ms is not null).ToList();
        double total = Math.Max(happened.Sum(p => p.Ms!.Value), 0.001);
        string bar = string.Concat(
            happened.Select(p => $"[{p.Colour}]{new string('━', (int)Math.Round(BarWidth * p.Ms!.Value / total))}[/]")
        );
        string figures = string.Join(
            " [grey]·[/] ",
            happened.Select(p => $"[{p.Colour}]{p.Name}[/] {p.Ms!.Value.ToString("0.0", CultureInfo.InvariantCulture)}")
        );
        return $"{bar} {figures} [grey]= {Ms(timing.TotalMs)}, queued {Ms(timing.QueueMs)}[/]";
    }

    static string Outcome(DeliveryDocument delivery) =>
        delivery switch
        {
            { Status: "captured", Destination: "emit" or "sse" } => "[yellow]captured: only a server can send this[/]",
            { Status: "captured" } => "[yellow]captured: not sent[/]",
            { Attempts: [.., { Response: { } response }] } =>
                $"→ [{(delivery.Status == "succeeded" ? "green" : "red")}]{response.Status}[/]",
            _ => $"→ {Words(delivery.Status)}",
        };

    static string Mark(string status) =>
        status switch
        {
            "succeeded" => "[green]●[/]",
            "suspended" or "held" => "[yellow]◐[/]",
            "captured" or "skipped" => "[grey]○[/]",
            "pending" or "sending" or "queued" or "running" => "[blue]…[/]",
            _ => "[red]✕[/]",
        };

    static string Words(string status) =>
        status switch
        {
            "succeeded" => "[green]succeeded[/]",
            "suspended" or "held" => "[yellow]◐[/]",
            "captured" or "skipped" => $"[grey]{status}[/]",
            _ => $"[red]{status.Replace('_', ' ')}[/]",
        };

    static string At(int? line, int? column) =>
        line is null ? ""
        : column is null ? $" at line {line}"
        : $" at line {line}, column {column}";

    static string Ms(double ms) => ms.ToString("#,0.0", CultureInfo.InvariantCulture) + " ms";

    static string Body(string body, string encoding, long bytes) =>
        encoding == "utf8" ? Short(body) : $"[grey]{bytes:N0} bytes, not text[/]";

    static string Short(string text) => Clip(text.ReplaceLineEndings(" ")).EscapeMarkup();

    static string Clip(string text) => text.Length <= MaxText ? text : text[..MaxText] + "…";

    // Escaped here too, so that the measured text is the printed text.
    static IRenderable Line(string markup) => new Markup(TerminalText.Clean(markup));
}
