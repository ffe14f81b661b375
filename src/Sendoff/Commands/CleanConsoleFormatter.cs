using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Sendoff.Commands;

/// <summary>Formats log lines like the simple formatter, and escapes control characters, so that they cannot control a terminal.</summary>
sealed class CleanConsoleFormatter() : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "clean";
    const string Indent = "      ";

    /// <summary>Used unless the settings name another formatter.</summary>
    public static void Use(WebApplicationBuilder builder)
    {
        builder.Logging.AddConsoleFormatter<CleanConsoleFormatter, ConsoleFormatterOptions>();
        if (builder.Configuration["Logging:Console:FormatterName"] is null)
            builder.Logging.AddConsole(static console => console.FormatterName = FormatterName);
    }

    public override void Write<TState>(in LogEntry<TState> entry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        string text = entry.Formatter(entry.State, entry.Exception);
        textWriter.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Level(entry.LogLevel)}: {entry.Category}[{entry.EventId.Id}]"));
        foreach (string line in TerminalText.Clean(entry.Exception is { } error ? $"{text}\n{error}" : text).Split('\n'))
            textWriter.WriteLine(Indent + line.TrimEnd('\r'));
    }

    static string Level(LogLevel level) =>
        level switch
        {
            LogLevel.Trace => "trce",
            LogLevel.Debug => "dbug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warn",
            LogLevel.Error => "fail",
            _ => "crit",
        };
}
