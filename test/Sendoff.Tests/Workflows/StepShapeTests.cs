using Sendoff.Engine.Workflows;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Workflows;

/// <summary>What a step's code looks like, by its tokens and not by what its texts say (E2).</summary>
public sealed class StepShapeTests
{
    [Theory]
    [InlineData("return 1")]
    [InlineData("const text = `\nexport default defineComponent({})\n`; return text")]
    [InlineData("// export default {}\nreturn event.body")]
    [InlineData("/*\nexport default defineComponent({ run() {} })\nmodule.exports = {}\n*/\nreturn 1")]
    [InlineData("const hint = 'use defineComponent({...}) or module.exports';\nreturn hint")]
    [InlineData("const a = `${`${'}'} export default`}\nimport x from 'y'`; return a")]
    [InlineData("return /\\nexport default|module.exports/.test(event.body)")]
    [InlineData("const exports = {}; exports.a = 1; return exports")]
    [InlineData("return { export: 1, import: 2, module: { exports: 3 } }")]
    [InlineData("event.export = 1\nevent.import\nreturn event\n.export")]
    [InlineData("const fs = await import('node:fs')\nimport.meta\nreturn fs")]
    [InlineData("this.defineComponent(1); return 1")]
    [InlineData("async (event, steps) => { return 'export default' }")]
    [InlineData("const b = (;\n// export default {}")]
    public void A_body_is_no_module_whatever_its_texts_and_comments_say(string source) =>
        Assert.Equal(StepShape.Body, StepShapes.Of(source));

    [Theory]
    [InlineData("export default defineComponent({ async run() {} })")]
    [InlineData("import a from 'b'\n\nexport default { run() {} }")]
    [InlineData("const a = `x`; export { a as default }")]
    [InlineData("#!/usr/bin/env node\n'use strict'\nexport default {}")]
    [InlineData("function f() {} export default { run: f }")]
    [InlineData("export default {\n  async run() { const b = (; }\n}")]
    [InlineData("import type { A } from './a'; export const x: Map<string, A> = new Map(); export default { run() {} }")]
    public void An_export_statement_makes_a_module(string source) => Assert.Equal(StepShape.Module, StepShapes.Of(source));

    [Theory]
    [InlineData("defineComponent({ run() {} })")]
    [InlineData("import a from 'b'\ndefineComponent({ run() {} })")]
    [InlineData("module.exports = { run() {} }")]
    [InlineData("const a = require('a')\nmodule.exports = async (event, steps) => 1")]
    [InlineData("exports.run = async () => 1")]
    public void A_component_need_not_be_exported(string source) => Assert.Equal(StepShape.Component, StepShapes.Of(source));

    [Fact]
    public void Imports_alone_are_told_apart() =>
        Assert.Equal(StepShape.Imports, StepShapes.Of("import axios from 'axios'\nreturn axios.get('x')"));

    [Fact]
    public async Task A_body_whose_texts_hold_a_component_runs_as_a_body()
    {
        await using var server = await TestServer.StartAsync();
        string hook = await server.DeployAsync(
            "texts",
            """
            // export default defineComponent({}) is what the docs show
            const template = `
            export default defineComponent({ async run() {} })
            module.exports = {}
            `;
            return [template.length > 10, typeof event]
            """,
            "step.js"
        );

        var run = await server.RunAsync(hook);

        Assert.Equal("""[true,"object"]""", run.Steps[0].Exports.GetProperty("$return_value").GetRawText());
    }
}
