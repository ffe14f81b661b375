using System.CommandLine;
using System.CommandLine.Parsing;
using Sendoff.Engine.Workflows;

namespace Sendoff.Commands;

/// <summary>The error message for an invalid command line: what is wrong, the suggested command or option, and how to get help.</summary>
static class UsageError
{
    public static string Of(ParseResult parsed)
    {
        // An unknown word also causes errors about missing arguments after it.
        string? unknown = parsed.UnmatchedTokens is [var first, ..] ? first : null;
        string message =
            parsed
                .Errors.FirstOrDefault(error => unknown is not null && error.Message.Contains($"'{unknown}'", StringComparison.Ordinal))
                ?.Message
            ?? parsed.Errors[0].Message;
        string? meant = unknown is null
            ? null
            : Below(parsed.CommandResult.Command, unknown)
                ?? Spelling.Closest(unknown, Words(parsed.CommandResult, isOption: unknown.StartsWith('-')));
        return $"{message}{(meant is null ? "" : $" Did you mean `{meant}`?")} Try `sendoff "
            + $"{string.Concat(Path(parsed.CommandResult).Select(static name => name + " "))}--help`.";
    }

    /// <summary>The only command one level below with this name, such as <c>deliveries resend</c> for <c>resend</c>.</summary>
    static string? Below(Command at, string name) =>
        at
            .Subcommands.SelectMany(group => group.Subcommands.Where(one => one.Name == name).Select(one => $"{group.Name} {one.Name}"))
            .ToList()
            is [var only]
            ? only
            : null;

    /// <summary>The known words.</summary>
    static IEnumerable<string> Words(CommandResult at, bool isOption) =>
        isOption
            ? Commands(at)
                .SelectMany(result => result.Command.Options.Where(option => result == at || option.Recursive))
                .Select(static option => option.Name)
            : at.Command.Subcommands.Select(static command => command.Name);

    static IEnumerable<string> Path(CommandResult at) =>
        Commands(at)
            .Select(static result => result.Command)
            .Where(static command => command is not RootCommand)
            .Select(static command => command.Name)
            .Reverse();

    /// <summary>The command and its parent commands.</summary>
    static IEnumerable<CommandResult> Commands(CommandResult? at)
    {
        for (; at is not null; at = at.Parent as CommandResult)
            yield return at;
    }
}
