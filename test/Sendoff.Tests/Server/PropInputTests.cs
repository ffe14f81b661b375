using System.Text.Json;
using Sendoff.Engine.Workflows;
using Sendoff.Ui.Editor;

namespace Sendoff.Tests.Server;

public sealed class PropInputTests
{
    static PropDefinition Prop(string type) => new("p", type);

    [Theory]
    [InlineData("string", "\"a\"", PropInput.Control.Line, "a")]
    [InlineData("string", "\"a\\nb\"", PropInput.Control.Block, "a\nb")]
    [InlineData("integer", "3", PropInput.Control.Line, "3")]
    [InlineData("boolean", "true", PropInput.Control.Choice, "true")]
    [InlineData("boolean", "\"{{steps.a.b}}\"", PropInput.Control.Line, "{{steps.a.b}}")]
    [InlineData("string[]", "[\"a\",\"b\"]", PropInput.Control.Lines, "a\nb")]
    [InlineData("string[]", "\"{{steps.a.b}}\"", PropInput.Control.Lines, "{{steps.a.b}}")]
    [InlineData("string[]", "[\"a\\nb\"]", PropInput.Control.Block, "[\n  \"a\\nb\"\n]")]
    [InlineData("integer[]", "[1,2]", PropInput.Control.Lines, "1\n2")]
    [InlineData("object", "{\"a\":1}", PropInput.Control.Block, "{\n  \"a\": 1\n}")]
    [InlineData("data_store", "{\"storeId\":\"seen\"}", PropInput.Control.Line, "seen")]
    [InlineData("app", "{\"authProvisionId\":\"apn_1\"}", PropInput.Control.None, "{\n  \"authProvisionId\": \"apn_1\"\n}")]
    [InlineData("$.service.db", null, PropInput.Control.None, "")]
    public void A_value_has_its_control_and_its_text(string type, string? json, PropInput.Control control, string text)
    {
        var input = PropInput.Of(Prop(type), json is null ? null : JsonElement.Parse(json));
        Assert.Equal((control, text), (input.Kind, input.Text.ReplaceLineEndings("\n")));
    }

    [Theory]
    [InlineData("string", "a", "\"a\"")]
    [InlineData("string", "", null)]
    [InlineData("integer", "-3", "-3")]
    [InlineData("number", "1.5", "1.5")]
    [InlineData("boolean", "false", "false")]
    [InlineData("integer", "{{steps.a.n}}", "\"{{steps.a.n}}\"")]
    [InlineData("string[]", "a\n b \n\n", "[\"a\",\"b\"]")]
    [InlineData("string[]", "{{steps.a.b}}", "\"{{steps.a.b}}\"")]
    [InlineData("string[]", "{{steps.a.b}}\nc", "[\"{{steps.a.b}}\",\"c\"]")]
    [InlineData("string[]", "[\"a\\nb\"]", "[\"a\\nb\"]")]
    [InlineData("integer[]", "1\n2", "[1,2]")]
    [InlineData("object", "{\"a\":[1]}", "{\"a\":[1]}")]
    [InlineData("any", "plain", "\"plain\"")]
    [InlineData("any", "[1,2]", "[1,2]")]
    [InlineData("data_store", "seen", "{\"storeId\":\"seen\"}")]
    public void A_text_means_a_value(string type, string text, string? json)
    {
        var (value, mistake) = PropInput.Parse(Prop(type), text);
        Assert.Equal((json, null), (value?.GetRawText(), mistake));
    }

    [Theory]
    [InlineData("integer", "loud", "`p` is `loud`. Expected a whole number, or a template")]
    [InlineData("integer", "1.5", "Expected a whole number")]
    [InlineData("number", "NaN", "Expected a number")]
    [InlineData("boolean", "yes", "Expected true or false")]
    [InlineData("object", "[1]", "Expected an object in JSON")]
    [InlineData("object", "{", "Expected an object in JSON")]
    [InlineData("integer[]", "1\nx", "`p` is `x`")]
    public void A_text_that_means_nothing_says_what_would(string type, string text, string says)
    {
        var (value, mistake) = PropInput.Parse(Prop(type), text);
        Assert.Null(value);
        Assert.Contains(says, mistake);
    }

    [Fact]
    public void What_a_component_names_is_chosen_and_what_is_none_of_it_is_text()
    {
        var prop = Prop("string") with
        {
            Options = [new("English", JsonElement.Parse("\"en\"")), new("Deutsch", JsonElement.Parse("\"de\""))],
            Default = JsonElement.Parse("\"en\""),
        };
        var input = PropInput.Of(prop, JsonElement.Parse("\"de\""));
        Assert.Equal((PropInput.Control.Choice, "de", "en"), (input.Kind, input.Text, input.Placeholder));
        Assert.Equal([("en", "English"), ("de", "Deutsch")], input.Choices);
        Assert.Equal(PropInput.Control.Line, PropInput.Of(prop, JsonElement.Parse("\"fr\"")).Kind);
    }

    [Fact]
    public void What_a_step_says_of_its_props_is_read_as_far_as_it_is_a_definition()
    {
        var read = PropDefinition.ReadAll(
            JsonElement.Parse(
                """
                [{"name":"url","type":"string","label":"Address","optional":true,"secret":true,"default":"x","options":[{"label":"one","value":1},{"label":2},7]},
                 {"name":"bare"}, {"type":"string"}, 5, null, {"name":7}]
                """
            )
        );
        Assert.Equal(["url", "bare"], read.Select(prop => prop.Name));
        Assert.Equal(("Address", true, true, "any"), (read[0].Label, read[0].Optional, read[0].Secret, read[1].Type));
        Assert.Equal("one", Assert.Single(read[0].Options).Label);
        Assert.Empty(PropDefinition.ReadAll(null));
        Assert.Empty(PropDefinition.ReadAll(JsonElement.Parse("\"x\"")));
    }
}
