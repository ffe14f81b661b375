// @ts-check
// Step styles, loading and its problems: rule E2.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

const GET = '{ method: "GET", url: "https://a.example/" }';
const node = +process.versions.node.split('.')[0];

const styles = /** @type {[string, Record<string, string>, string][]} */ ([
  ['A v1 body with await and return at the top', { 's.js': 'const x = await Promise.resolve(event.n); return x + 1' }, 'body'],
  ['A v1 body that starts with a function', { 's.js': 'function add(x) { return x + 1 }\nconst y = add(event.n)\nreturn y' }, 'body'],
  ['A v1 body that is one call of an async function', { 's.js': 'return await (async () => { return event.n + 1 })()' }, 'body'],
  ['A v1 body in sloppy mode', { 's.js': 'undeclared = event.n; with ({ y: 1 }) { return undeclared + y }' }, 'body'],
  [
    'A v1 body with require and import()',
    { 's.js': 'const path = require("path"); const { default: fs } = await import("node:fs"); '
      + 'return path.basename("a/b") === "b" && typeof fs.readFileSync === "function" ? event.n + 1 : 0' }, 'body',
  ],
  ['A v1 body that declares params and $ itself', { 's.js': 'const $ = 1, params = 2, steps = 3; return $ + params + steps - 4' }, 'body'],
  ['A v1 body with steps.trigger.event', { 's.js': 'return steps.trigger.event.n + 1' }, 'body'],
  [
    'A v1 body with a relative import()',
    { 's.js': 'return (await import("./lib/one.mjs")).default + event.n', 'lib/one.mjs': 'export default 1' }, 'body',
  ],
  ['A v1 body with a relative require', { 's.js': 'return require("./lib/one.json").one + event.n', 'lib/one.json': '{"one":1}' }, 'body'],
  [
    'A pasted arrow function', { 's.js': '// from the docs\nasync (event, steps) => {\n  undeclared = 1; return event.n + 1\n}; // end' },
    'wrapper',
  ],
  [
    'A pasted arrow function with misspelt and fewer names',
    { 's.js': 'async events => steps_(events)\nfunction_ = 1'.split('\n')[0].replace('steps_(events)', 'events.n + 1') }, 'wrapper',
  ],
  ['A pasted anonymous function', { 's.js': 'async function (event, steps, params, auths) { return event.n + 1 }' }, 'wrapper'],
  ['A pasted named function', { 's.js': 'async function run(event, steps) { return steps.trigger.event.n + 1 }\n' }, 'wrapper'],
  ['An exported function', { 's.js': 'module.exports = async (event, steps) => event.n + 1' }, 'wrapper'],
  [
    'A module with defineComponent',
    { 's.mjs': 'export default defineComponent({ async run({ steps, $ }) { return steps.trigger.event.n + 1 } })' }, 'module',
  ],
  [
    'A module named .js',
    { 's.js': 'import path from "node:path"\nexport default { run({ steps }) { return steps.trigger.event.n + 1 } }' }, 'module',
  ],
  [
    'A snippet without export default', { 's.js': 'defineComponent({ async run({ steps, $ }) { return steps.trigger.event.n + 1 } })' },
    'module',
  ],
  [
    'A snippet with imports and without export default',
    { 's.js': 'import path from "path"\ndefineComponent({ async run({ steps, $ }) { return steps.trigger.event.n + 1 } })' }, 'module',
  ],
  [
    'A CommonJS component',
    { 's.js': 'const path = require("path")\nmodule.exports = { async run({ steps, $ }) { return steps.trigger.event.n + 1 } }' }, 'module',
  ],
  [
    'A module that imports its neighbours',
    {
      's.mjs': 'import one from "./lib/one.mjs"; export default { run({ steps }) { return steps.trigger.event.n + one } }',
      'lib/one.mjs': 'export default 1',
    }, 'module',
  ],
  [
    'A module that uses require beside import',
    { 's.mjs': 'import fs from "fs"; const path = require("path"); export default { run({ steps }) { return path.sep.length + '
      + 'steps.trigger.event.n } }' }, 'module',
  ],
  [
    'A module with methods',
    { 's.mjs': 'export default { methods: { add(n) { return n + this.one() }, one: () => 1 }, '
      + 'run({ steps }) { return this.add(steps.trigger.event.n) } }' }, 'module',
  ],
]);
for (const [what, files, style] of styles) test(`${what} runs as a ${style}`, async () => {
  const result = await once(files, { n: 1 }, { steps: [{ name: 's', file: Object.keys(files)[0] }] });
  assert.deepEqual(result.loaded.problems, []);
  assert.deepEqual(result.loaded.steps, [{ name: 's', style }]);
  assert.equal(result.value, 2);
});

test('TypeScript runs where Node strips types', { skip: node < 24 }, async () => {
  const result = await once(
    { 's.ts': 'import one from "./one.ts";\ninterface E { n: number }\nexport default defineComponent({ async run({ steps, '
      + '$ }: { steps: any, $: any }): Promise<number> { const e = steps.trigger.event as E; '
      + 'return e.n + one } })', 'one.ts': 'const one: number = 1; export default one' }, { n: 1 },
        { steps: [{ name: 's', file: 's.ts' }] });
  assert.equal(result.value, 2);
});

test('Both names of everything work in both styles', async () => {
  const body = `$send.http(${GET}); $.send.http(${GET}); $.export("a", 1); this.b = 2; $.respond({ body: "x" }); $respond({ body: "y" });
    return typeof $end + typeof $.flow.exit + typeof $.context.id`;
  for (const files of /** @type {Record<string, string>[]} */ (
    [{ 's.js': body }, { 's.mjs': `export default { run({ steps, $ }) { ${body} } }` }, { 's.js': `async (event) => { ${body} }` }])) {
    const result = await once(files);
    assert.equal(result.value, 'functionfunctionstring');
    assert.deepEqual(result.sends.map(send => send.index), [0, 1]);
    assert.equal(result.responses.length, 2);
    assert.deepEqual(result.exports.map(({ name, value }) => [name, value]), [['a', 1]]);
  }
});

const problems = /** @type {[string, Record<string, string>, any][]} */ ([
  [
    'a syntax error on the first line of a body', { 's.js': 'const b = (;' },
    { line: 1, column: 12, source: 'const b = (;', name: 'SyntaxError', message: "Unexpected token ';'" },
  ],
  ['a syntax error in a body', { 's.js': 'let a = 1\n\n  const b = (;' }, { line: 3, column: 14, source: '  const b = (;' }],
  ['a bracket never closed', { 's.js': 'if (event) {\n  $end()\n' }, { line: 3 }],
  [
    'a syntax error in a module',
    { 's.mjs': 'import fs from "node:fs"\nimport { readFile,\n  stat } from "node:fs/promises"\nexport default {\n  run() { const x = ; '
      + '}\n}' }, { line: 5, column: 21, source: '  run() { const x = ; }', name: 'SyntaxError' },
  ],
  [
    'a syntax error in a module named .js',
    { 's.js': 'import fs from "node:fs"\nexport default defineComponent({\n  run() { const x = ; }\n})' }, { line: 3, column: 21 },
  ],
  [
    'a syntax error in an imported module',
    { 's.mjs': 'import x from "./lib/x.mjs"\nexport default {}', 'lib/x.mjs': 'export const a = 1\nexport const = 2' },
    { file: 'lib/x.mjs', line: 2, column: 14 },
  ],
  ['a syntax error in a CommonJS component', { 's.js': 'import_ = 1\nmodule.exports = { run() { const x = ; } }' }, { line: 2 }],
  [
    'an export that does not exist', { 's.mjs': '\nimport { nope } from "node:fs"\nexport default {}' },
    { line: 2, column: 10, name: 'SyntaxError' },
  ],
  [
    'a package that is not installed', { 's.mjs': 'import fs from "fs"\nimport x from "no-such-package/sub"\nexport default {}' },
    { line: 2, column: 15, message: /Cannot find package 'no-such-package'/ },
  ],
  [
    'a file that is not there', { 's.mjs': '\nimport x from "./missing.mjs"\nexport default {}' },
    { line: 2, column: 15, message: /Cannot find module 'missing.mjs'/ },
  ],
  ['an error while a module loads', { 's.mjs': 'let a\n  a.b.c\nexport default { run() {} }' }, { line: 2, column: 5, name: 'TypeError' }],
  ['a module without a step', { 's.mjs': 'export const x = 1' }, { line: null, message: /export default defineComponent/ }],
  [
    'process.exit while a module loads', { 's.mjs': '\nprocess.exit(1)\nexport default {}' },
    { line: 2, message: /process\.exit\(1\) was called while/ },
  ],
]);
for (const [what, files, expected] of problems) test(`The problem ${what} is reported with its place`, async () => {
  const worker = await Worker.start(files, { steps: [{ name: 's', file: Object.keys(files)[0] }] });
  const [problem] = worker.loaded.problems;
  assert.equal(worker.loaded.problems.length, 1);
  assert.equal(problem.step, 0);
  for (const [key, value] of Object.entries({ file: Object.keys(files)[0], ...expected })) {
    if (value instanceof RegExp)
      assert.match(problem[key], value); else assert.equal(problem[key], value, `${key} of ${JSON.stringify(problem)}`);
  }
  const result = await worker.run();
  assert.equal(result.end.status, 'failed');
  assert.equal(result.error.code, 'SENDOFF_LOAD');
  await worker.stop();
});

test('A missing step file and two steps of one name are problems', async () => {
  const worker = await Worker.start(
    { 'a.js': '' },
    { steps: [{ name: 'a', file: 'a.js' }, { name: 'a', file: 'a.js' }, { name: 'b', file: 'b.js' }, { name: 'trigger', file: 'a.js' }] });
  assert.deepEqual(
    worker.loaded.problems.map((/** @type {any} */ { step, message }) => [step, message]),
    [[1, 'two steps are called "a"'], [2, 'the file b.js does not exist'], [3, 'two steps are called "trigger"']]);
  await worker.stop();
});

test('Steps are compiled and modules evaluated once, not once a run', async () => {
  const worker = await Worker.start({ 's.mjs': 'let n = 0; export default { run() { return ++n } }' });
  assert.equal((await worker.run()).value, 1);
  assert.equal((await worker.run()).value, 2);
  await worker.stop();
});

test('The environment is the one of the load frame', async () => {
  const result = await once('return { ...process.env }', {}, { env: { MINE: '1' } });
  assert.deepEqual(result.value, { MINE: '1' });
});

test('Props reach this of a component and params of a body, labels unwrapped, defaults filled in', async () => {
  const props = { a: 1, list: [{ __lv: { label: 'L', value: 'v' } }] };
  const v2 = await once(
    { 's.mjs': 'export default { props: { a: { type: "integer" }, d: { type: "string", default: "x" }, list: { type: "string[]" } }, '
      + 'run() { this.list.push(this.a); return [this.a, this.d, this.list] } }' }, {}, { steps: [{ name: 's', file: 's.mjs', props }] });
  assert.deepEqual(v2.value, [1, 'x', ['v', 1]]);
  assert.deepEqual(v2.step.inputs, { a: 1, list: ['v'] });
  const v1 = await once({ 's.js': 'return params' }, {}, { steps: [{ name: 's', file: 's.js', props }] });
  assert.deepEqual(v1.value, { a: 1, list: ['v'] });
});

/** What a step returns, what is exported of it, and words of the warning. */
const values = /** @type {[string, string, any, RegExp | null][]} */ ([
  ['a Map', 'return new Map([["a", 1], [2, { b: 3 }]])', { a: 1, 2: { b: 3 } }, null],
  ['a Set', 'return new Set([1, "b"])', [1, 'b'], null],
  [
    'a response of axios',
    'const r = { status: 200, data: { a: 1 }, headers: { toJSON: () => ({ b: "2" }) }, config: { f() {} }, '
      + 'request: new (class Socket { x = 1 })() }; r.config.self = r; return r',
      { status: 200, data: { a: 1 }, headers: { b: '2' }, config: {} },
      /of the value of \$return_value, config\.f, config\.self, request was left out/,
  ],
  [
    'a response of fetch', 'return new Response("x", { status: 201, headers: { a: "1" } })',
    { status: 201, statusText: '', url: '', headers: { a: '1', 'content-type': 'text/plain;charset=UTF-8' } },
    /without its body: return await response\.json/,
  ],
  ['what contains nothing but itself', 'const a = {}; a.a = a; return a', undefined, /was left out, as only JSON passes/],
  ['a BigInt', 'return 1n', undefined, /was left out, as only JSON passes/],
]);
for (const [what, code, expected, warning] of values) test(`Of ${what} a step exports what is plain data`, async () => {
  const result = await once(code);
  assert.deepEqual([result.value, result.error], [expected, undefined]);
  if (warning === null) assert.deepEqual(result.warnings, []);
  else { assert.match(result.warnings[0].message, warning); assert.equal(result.warnings[0].code, 'export_not_serialisable'); }
});

test('A charset that a string is not sent in is replaced, with a warning', async () => {
  const result = await once('await $respond({ body: "é", headers: { "content-type": \'text/plain; charset="iso-8859-1"; x=1\' } })');
  assert.deepEqual(result.responses[0].headers, [['content-type', 'text/plain; charset=utf-8; x=1']]);
  assert.deepEqual(result.warnings.map(warning => warning.code), ['ignored_header']);
  assert.match(result.warnings[0].message, /charset iso-8859-1 was replaced by utf-8/);
});

test('An option that $respond does not have is warned of, with the one that was meant', async () => {
  const result = await once('await $respond({ statusCode: 201, bodyContent: "x", headers: {}, other: 1, immediate: undefined })');
  assert.deepEqual(
    result.warnings.map(warning => warning.code), ['unknown_response_option', 'unknown_response_option', 'unknown_response_option']);
  assert.match(result.warnings[0].message, /no option `statusCode`: did you mean `status`\?/);
  assert.match(result.warnings[1].message, /no option `bodyContent`: did you mean `body`\?/);
  assert.match(result.warnings[2].message, /no option `other`; it has status, headers, body and immediate/);
  assert.equal(result.responses[0].status, 200);
});
