using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;

namespace Sendoff.Ui.Controls;

/// <summary>Text with code between backticks.</summary>
public sealed class Ticks : ComponentBase
{
    [Parameter, EditorRequired]
    public string Text { get; set; } = "";

    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        string[] parts = Text.Split('`');
        for (int i = 0; i < parts.Length; i++)
        {
            // The last of an even number of parts has no closing backtick.
            if (i % 2 == 0 || i == parts.Length - 1)
                builder.AddContent(0, i % 2 == 0 ? parts[i] : "`" + parts[i]);
            else
            {
                builder.OpenElement(1, "code");
                builder.AddContent(2, parts[i]);
                builder.CloseElement();
            }
        }
    }
}
