using Sendoff.Engine.Deliveries;

namespace Sendoff.Commands;

/// <summary>The egress policy from the settings' rules; a rule that cannot be read is one clear line.</summary>
static class EgressRules
{
    public static EgressPolicy Create(IReadOnlyList<string> allow, IReadOnlyList<string> deny)
    {
        try
        {
            return new EgressPolicy(allow, deny);
        }
        catch (FormatException x)
        {
            throw new CommandException(x.Message, ExitCode.Usage);
        }
    }
}
