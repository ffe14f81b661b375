// @ts-check
// What steps of both generations find beside their props: the trigger's fields, files, responses, and hints.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

const EVENT = {
  method: 'POST', url: 'https://a.example/hook/x?q=1', path: '/hook/x', client_ip: '192.0.2.1', headers: { host: 'a.example' },
  body: {
    n: 1, file: { filename: 'a.txt', mimetype: 'text/plain', url: `data:text/plain;base64,${Buffer.from('bytes').toString('base64')}` },
  },
};
const module = (/** @type {string} */ code) =>
  ({ 's.mjs': `import { Readable } from "node:stream"\nexport default defineComponent({ async run({ steps, $ }) { ${code} } })` });

/** A body or a module, what it returns for EVENT. */
const values = /** @type {[string, any, any][]} */ ([
  [
    'The trigger\'s context',
    'const c = steps.trigger.context; return [c.workflow_id, c.workflow_name, c.deployment_id, c.id === c.trace_id, c.ts, c.replay, '
      + 'c.verified]', ['p_1', 'flow', 'd_7', true, '2023-11-14T22:13:20.000Z', false, false],
  ],
  [
    '$.context has the deadline too',
    module('const c = $.context; return [c.workflow_id, c.deadline > Date.now(), c.run.runs, c.JIT, c.id === steps.trigger.context.id]'),
    ['p_1', true, 1, false, true],
  ],
  [
    'raw_event has the body in Base64',
    'const r = steps.trigger.raw_event; return [r.method, r.uri, r.scheme, r.client_ip, JSON.parse(Buffer.from(r.body_b64, "base64")).n]',
    ['POST', '/hook/x?q=1', 'https', '192.0.2.1', 1],
  ],
  ['All of steps.trigger does not repeat the event', 'return Object.keys(JSON.parse(JSON.stringify(steps.trigger)))', ['event', 'context']],
  [
    '$attachments are paths',
    'const fs = require("fs"); return [fs.readFileSync($attachments["file"], "utf8"), Object.keys($attachments), '
      + '$attachments.file === $attachments.file, /a\\.txt$/.test($attachments.file)]', ['bytes', ['file'], true, true],
  ],
  [
    '$attachments has the files of the form and nothing else', 'return [Object.keys($attachments), typeof $attachments.nope]',
    [['file'], 'undefined'],
  ],
  [
    'params, auths and $send in the usual order',
    'async (event, steps, params, auths, $send, $respond, $end) => [event.n ?? event.body.n, typeof steps.trigger, typeof params, '
      + 'typeof auths, typeof $send.http, typeof $respond, typeof $end]',
      [1, 'object', 'object', 'object', 'function', 'function', 'function'],
  ],
  ['Misspelt names in a wrapper', 'async (events, steps) => events.body.n', 1],
  ['Names in another order', 'async (steps, event) => [event.body.n, steps.trigger.event.body.n]', [1, 1]],
  ['auths in the third place', 'async function (event, steps, auths) { return Object.keys(auths) }', ['slack']],
  ['Only params', 'async params => params.p', 'v'],
  ['A function with patterns is given by place', 'async ({ body }, steps = {}) => body.n', 1],
  ['$event is the event', 'return $event === event', true],
  [
    'ConfigurationError is a global',
    'try { throw new ConfigurationError("bad") } catch (e) { return [e instanceof Error, e.name, e.message] }',
    [true, 'ConfigurationError', 'bad'],
  ],
  [
    '$checkpoint begins as undefined and is kept in the run', '$checkpoint = { a: [typeof $checkpoint] }; return $checkpoint',
    { a: ['undefined'] },
  ],
  ['A file is written, read, described and deleted',
    module(`const f = await $.files.open("harness-test/a.txt").fromReadableStream(Readable.from(["he", "llo"]));
    const again = $.files.openDescriptor(JSON.parse(JSON.stringify(f))); const names = [];
    for await (const entry of $.files.dir("harness-test")) names.push(entry.name, entry.size, entry.isFile());
    const text = (await again.toBuffer()).toString(), url = await again.toUrl(); await again.toFile("/tmp/harness-test-b.txt");
    const copy = await $.files.open("harness-test/b.txt").fromFile("/tmp/harness-test-b.txt");
    const copied = await copy.toEncodedString("base64"); await f.delete(); await copy.delete();
    await $.files.open("harness-test-b.txt").delete();
    let left = 0; for await (const _ of $.files.dir("harness-test")) left++;
    return [f.name, names, text, url.startsWith("file:///"), copied, left]`), ['a.txt', ['a.txt', 5, true], 'hello', true, 'aGVsbG8=', 0]],
]);
for (const [what, files, expected] of values) test(what, async () => {
  const named = typeof files === 'string' ? { 's.js': files } : files;
  const result = await once(
    named, EVENT, { steps: [{ name: 's', file: Object.keys(named)[0], props: { p: 'v' } }], accounts: { slack: { k: 'v' } } });
  assert.deepEqual([result.value, result.error], [expected, undefined]);
});

test('The files of a form are found in its body by the number in their URL', async () => {
  const parts = [
    '--"B', 'Content-Disposition: form-data; name="a"', '', 'x', '--"B', 'Content-Disposition: form-data; name=f; filename=a.txt', '',
    'bytes\r\n--"', '--"B', 'Content-Disposition: form-data; name=none; filename=b.txt', '', '', '--"B--', '',
  ];
  const url = (/** @type {number} */ n) => `http://localhost/files/evt_1/sign/${n}/a.txt`;
  const event = {
    headers: { 'content-type': 'multipart/form-data; boundary="B' }, inferred_body_type: 'MULTIPART_FORM',
    body: { a: 'x', f: { filename: 'a.txt', url: url(1) }, none: { filename: 'b.txt', url: url(2) }, gone: { filename: 'c', url: url(3) } },
  };
  const worker = await Worker.start(
    'const fs = require("fs"); return [fs.readFileSync($attachments.f, "utf8"), fs.readFileSync($attachments.none, "utf8"), '
      + 'typeof $attachments.gone]');
  const result = await worker.run(
    event, {
      resume: { from: 0, runs: 1, sends: 0, trace: 'r', exports: [], callback: { event: { body: 'no' } } },
      raw: Buffer.from(parts.join('\r\n')).toString('base64'),
    });
  assert.deepEqual([result.value, result.error], [['bytes\r\n--"', '', 'undefined'], undefined]);
});

test('The files below the folder attachments are paths by their names', async () => {
  const code = 'const { attachments } = steps.trigger.context, fs = require("fs"); return [fs.readFileSync(attachments["prices.csv"], '
    + '"utf8"), Object.keys(attachments).sort(), fs.readFileSync($attachments["a/b.html"], "utf8"), '
    + '$attachments["prices.csv"] === attachments["prices.csv"]]';
  const result = await once(
    { 's.js': code, 'attachments/prices.csv': 'a,1', 'attachments/a/b.html': '<p>' }, {}, { steps: [{ name: 's', file: 's.js' }] });
  assert.deepEqual([result.value, result.error], [['a,1', ['a/b.html', 'prices.csv'], '<p>', true], undefined]);
});

test('The body as it came is the one of the event, whatever else has one', async () => {
  const worker = await Worker.start('return [event.bodyRaw, Object.keys(event), steps.trigger.raw_event.uri]');
  const event = { 'a"\\': '},"body":1', body: { body: '"}' }, inferred_body_type: 'JSON', url: 'http://h/hooks/KEY?x=%2F' };
  const result = await worker.run(
    event, { resume: { from: 0, runs: 1, sends: 0, trace: 'r', exports: [], callback: { event: { body: 'no' } } } });
  assert.deepEqual(result.value, ['{"body":"\\"}"}', ['a"\\', 'body', 'inferred_body_type', 'url'], '/?x=%2F']);
});

/** What is given to $respond, the response: status, body, content-type. */
const responses = /** @type {[string, string, any[] | null][]} */ ([
  ['a string', '{ status: 201, body: "text" }', [201, 'text', 'text/plain; charset=utf-8']],
  ['an object', '{ body: { a: 1 } }', [200, '{"a":1}', 'application/json']],
  ['a Buffer', '{ body: Buffer.from("bytes"), headers: { "content-type": "image/png" } }', [200, 'bytes', 'image/png']],
  ['no body', '{ status: 204 }', [204, '', undefined]],
  ['a Readable', '{ body: Readable.from(["a", Buffer.from("b")]) }', [200, 'ab', 'application/octet-stream']],
  [
    'a Readable with a type', '{ status: 202, headers: { "Content-Type": "text/csv" }, body: Readable.from(["a"]) }',
    [202, 'a', 'text/csv'],
  ],
  ['a stream of the web', '{ body: new Blob(["web"]).stream() }', [200, 'web', 'application/octet-stream']],
  ['a string of a text type', '{ body: "é", headers: { "content-type": "text/html" } }', [200, 'é', 'text/html; charset=utf-8']],
  [
    'a string that names UTF-8', '{ body: "é", headers: { "content-type": "text/html;charset=UTF-8" } }',
    [200, 'é', 'text/html;charset=UTF-8'],
  ],
  ['a string of another type', '{ body: "{}", headers: { "content-type": "application/xml" } }', [200, '{}', 'application/xml']],
  ['a Map with a Set', '{ body: new Map([["a", new Set([1])]]) }', [200, '{"a":[1]}', 'application/json']],
  ['a number', '{ body: parseInt("1") }', null],
  ['a function', '{ body: () => 1 }', null],
  ['a status that is none', '{ status: 1000 }', null],
  ['text instead of options', '"text"', null],
  ['headers at the limit', `{ headers: { a: "x".repeat(${64 * 1024 - 5}) } }`, [200, '', undefined]],
  ['headers over the limit', `{ headers: { a: "x".repeat(${64 * 1024 - 4}) } }`, null],
]);
for (const [what, options, expected] of responses) test(`$respond with ${what}`, async () => {
  for (const files of [
    { 's.js': `const { Readable } = require("stream"); await $respond(${options})` }, module(`await $.respond(${options})`),
    module(`$.respond(${options})`),
  ]) {
    const result = await once(/** @type {any} */ (files));
    assert.equal(result.end.status, 'succeeded', JSON.stringify(result.error));
    const type = (/** @type {any} */ r) => r.headers.find((/** @type {string[]} */ [name]) => name.toLowerCase() === 'content-type')?.[1];
    assert.deepEqual(result.responses.map(r => [r.status, r.text, type(r)]), expected === null ? [] : [expected]);
    assert.deepEqual(result.warnings.map(w => w.code), expected === null ? ['response_not_sent'] : []);
  }
});

test('A stream that fails, fails the step that does not catch it', async () => {
  const stream = 'Readable.from((async function* () { yield "a"; throw new Error("broken") })())';
  for (const code of [`await $.respond({ body: ${stream} })`, `$.respond({ body: ${stream} })`]) {
    const result = await once(module(code));
    assert.deepEqual([result.error?.message, result.responses.length], ['broken', 0]);
  }
  const caught = await once(module(`try { await $.respond({ body: ${stream} }) } catch (e) { return e.message }`));
  assert.deepEqual([caught.value, caught.end.status], ['broken', 'succeeded']);
});

test('A stream over the limit names the setting', async () => {
  const result = await once(
    module('await $.respond({ body: Readable.from([Buffer.alloc(600), Buffer.alloc(600)]) })'), {}, { limits: { valueBytes: 1000 } });
  assert.match(result.error.message, /the stream has more than 1000 bytes \(setting Runs:MaxExportBytes\)/);
});

test('An immediate stream says so', async () => {
  const result = await once(module('await $.respond({ immediate: true, body: Readable.from(["a"]) }); console.log("after")'));
  assert.deepEqual(result.frames.map(f => f.kind), ['respond', 'log', 'stepEnd', 'runEnd']);
  assert.equal(result.responses[0].immediate, true);
});

test('A ConfigurationError is shown under its name', async () => {
  const result = await once(module('throw new ConfigurationError("set the channel")'));
  assert.deepEqual([result.error.name, result.error.message], ['ConfigurationError', 'set the channel']);
});

for (const [files, hint] of /** @type {[any, string][]} */ ([
  [module('return await axios.get("x")'), 'axios is not defined: add import axios from "axios" at the top of the step'],
  [{ 's.js': 'return await axios.get("x")' }, 'axios is not defined: add const axios = require("axios") before it is used'],
  [{ 's.js': 'async (event) => _.get(event, "x")' }, 'const _ = require("lodash")'],
  [module('return uuidv4()'), 'import { v4 as uuidv4 } from "uuid"'],
  [module('return fs.existsSync("x")'), 'import fs from "fs"'],
])) test(`A package that is used and not imported: ${hint}`, async () => {
  const result = await once(files);
  assert.equal(result.error.name, 'ReferenceError');
  assert.deepEqual(result.warnings.map(w => [w.code, w.line]), [['missing_import', result.error.line]]);
  assert.ok(result.warnings[0].message.includes(hint), result.warnings[0].message);
});

test('Another name that is not defined gets no hint', async () => {
  for (const code of ['return nope', 'return constructor_']) assert.deepEqual((await once(code)).warnings, []);
});

for (const [what, code, custom, warned] of /** @type {[string, string, boolean, boolean][]} */ ([
  ['a returned response', 'return { status: 200, body: "x" }', true, true],
  ['a returned response with statusCode', 'return { statusCode: 200, body: "x" }', true, true],
  ['a response that was given', '$.respond({ body: "y" }); return { status: 200, body: "x" }', true, false],
  ['a workflow that answers by itself', 'return { status: 200, body: "x" }', false, false],
  ['another value', 'return { body: "x" }', true, false],
])) test(`Whether a response was meant: ${what}`, async () => {
  const result = await once({ 's.js': code, 'z.js': '' }, {}, { workflow: { customResponse: custom } });
  assert.deepEqual(result.warnings.map(w => [w.code, w.step]), warned ? [['response_not_sent', 0]] : []);
});
