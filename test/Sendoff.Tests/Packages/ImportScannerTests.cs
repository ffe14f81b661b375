using Sendoff.Engine.Packages;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Packages;

/// <summary>What counts as an import, and what only looks like one.</summary>
public sealed class ImportScannerTests
{
    static string[] Scan(string source) => [.. ImportScanner.Scan("step.js", source).Select(i => i.Specifier)];

    [Theory]
    [InlineData("import a from 'x'")]
    [InlineData("import 'x'")]
    [InlineData("import a, { b as c, default as d } from \"x\";")]
    [InlineData("import * as a from 'x' with { type: 'json' }")]
    [InlineData("import type from 'x'")]
    [InlineData("import type, { b } from 'x'")]
    [InlineData("import { type A, b } from 'x'")]
    [InlineData("import { from } from 'x'")]
    [InlineData("import {\n  a, // of 'y'\n} from\n'x'")]
    [InlineData("export * from 'x'")]
    [InlineData("export * as a from 'x'")]
    [InlineData("export { a, b } from 'x'")]
    [InlineData("const a = await import('x')")]
    [InlineData("const a = await import(`x`)")]
    [InlineData("const a = require('x').b")]
    [InlineData("const a = [...require('x')]")]
    [InlineData("require.resolve('x')")]
    [InlineData("const a = `${require('x')}`")]
    [InlineData("const a = `${{ b: `${'}'}` }} ${require('x')}`")]
    [InlineData("if (/['\"`]/.test(a)) require('x')")]
    [InlineData("const a = b / 2; const c = require('x') / 2")]
    [InlineData("const a = b[0] / 2, c = '/', d = require('x')")]
    [InlineData("const a = f() / 2; // it's\nrequire('x')")]
    [InlineData("const a = i++ / 2; require('x'); const b = '/'")]
    [InlineData("#!/usr/bin/env node it's\nrequire('x')")]
    [InlineData("const a = 'it\\'s'; require('x')")]
    [InlineData("export const a = 1\nimport b from 'x'")]
    [InlineData("const a = /(?<y>[/'\"]{2})\\p{L}/v; require('x')")]
    [InlineData("class A { #p = 1; static { require('x') } }")]
    [InlineData("const a: Map<string, number> = b! as any; require('x')")]
    [InlineData("@dec class B {}\nimport a from 'x'")]
    [InlineData("const a = b ? /'/ : c\nrequire('x')")]
    public void What_is_imported_is_found(string source) => Assert.Equal(["x"], Scan(source));

    [Theory]
    [InlineData("// import a from 'x'")]
    [InlineData("/* require('x') */")]
    [InlineData("const a = \"require('x')\"")]
    [InlineData("const a = `import b from 'x'`")]
    [InlineData("const a = /require('x')/")]
    [InlineData("if (a) /require('x')/.test(b)")]
    [InlineData("{\n}\n/require('x')/.test(b)")]
    [InlineData("import.meta.resolve")]
    [InlineData("a.require('x')")]
    [InlineData("a?.require('x')")]
    [InlineData("a.import('x')")]
    [InlineData("import(name)")]
    [InlineData("require('x' + name)")]
    [InlineData("require(`x${name}`)")]
    [InlineData("import type { A } from 'x'")]
    [InlineData("import type A from 'x'")]
    [InlineData("export type { A } from 'x'")]
    [InlineData("export { a }\nconst from = 1; f('x')")]
    [InlineData("export default 'x'")]
    [InlineData("const a = { import: 'x', require: 'x' }")]
    [InlineData("'unclosed\n`unclosed require('x')")]
    public void What_only_looks_like_an_import_is_not(string source) => Assert.Empty(Scan(source));

    [Fact]
    public void An_import_has_the_position_of_its_text()
    {
        var import = Assert.Single(ImportScanner.Scan("lib/a.js", "const a = 1;\r\n\tconst b = require(\"ms@2\");\r\n"));

        Assert.Equal(
            ("ms@2", "lib/a.js", 2, 20, "\tconst b = require(\"ms@2\");"),
            (import.Specifier, import.File, import.Line, import.Column, import.SourceLine)
        );
    }

    [Theory]
    [InlineData("import a ")]
    [InlineData("import'a' ")]
    [InlineData("export{ ")]
    [InlineData("`${ ")]
    [InlineData("( / ")]
    public async Task A_large_file_of_any_text_is_read_in_time_that_grows_with_its_size(string piece)
    {
        string source = string.Concat(Enumerable.Repeat(piece, 400_000));

        // Were each import to look at all of the file, this would take hours.
        await Task.Run(() => Scan(source), TestContext.Current.CancellationToken).WithinLimitAsync();
    }

    [Theory]
    [InlineData("axios", "axios", null, "")]
    [InlineData("axios@^0.19.2", "axios", "^0.19.2", "")]
    [InlineData("axios@latest/lib/a.js", "axios", "latest", "/lib/a.js")]
    [InlineData("@scope/name", "@scope/name", null, "")]
    [InlineData("@scope/name@1.2.3-rc.1/sub", "@scope/name", "1.2.3-rc.1", "/sub")]
    public void A_specifier_has_a_name_a_range_and_a_subpath(string specifier, string name, string? range, string subpath)
    {
        Assert.Null(PackageSpecifier.Read(specifier, out var package));
        Assert.Equal(new(name, range, subpath), package);
    }

    [Theory]
    [InlineData("axios@")]
    [InlineData("axios@../x")]
    [InlineData("axios@>=1")]
    [InlineData("axios@--global")]
    [InlineData("axios/../../x")]
    [InlineData("@scope")]
    [InlineData("has space")]
    public void What_npm_would_take_for_something_else_is_refused(string specifier) =>
        Assert.NotNull(PackageSpecifier.Read(specifier, out _));

    [Theory]
    [InlineData("./a.js")]
    [InlineData("/a.js")]
    [InlineData("#a")]
    [InlineData("node:test")]
    [InlineData("fs/promises")]
    [InlineData("file:///a")]
    public void Files_and_modules_of_Node_are_no_packages(string specifier) => Assert.False(PackageSpecifier.IsPackage(specifier));
}
