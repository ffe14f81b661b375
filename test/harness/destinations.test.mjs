// @ts-check
// $send.email, .emit, .sse and .s3 in the worker: what is written, what throws, what is warned of (F7, A4, A8).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { once } from './support.mjs';

/** @param {string} code @param {object} [limits] */
async function sends(code, limits) {
  const result = await once(code, {}, { limits });
  assert.equal(result.error ?? null, null);
  return { sends: result.sends.map(s => [s.url, s.body.toString()]), warnings: result.warnings.map(w => w.message) };
}

test('Every destination is a request whose URL says which', async () => {
  const result = await sends(`
    $send.email({ subject: 's', text: 't', html: undefined });
    $.send.emit({ a: 1 });
    $.send.emit(['x'], 'a channel/ä');
    $send.emit({ raw_event: { b: 2 } });
    $send.sse({ channel: 'news', payload: 'text' });
    $send.sse({ channel: 'c:d', payload: { e: 1 } });
    $send.s3({ bucket: 'my-bucket', prefix: '/logs//ä b/', payload: { f: 1 } });
    $send.s3({ bucket: 'my-bucket', prefix: '', payload: 'line' });
    return $send.email({})`);
  assert.deepEqual(result, {
    sends: [
      ['email:', '{"subject":"s","text":"t"}'], ['emit:', '{"a":1}'], ['emit:a%20channel%2F%C3%A4', '["x"]'], ['emit:', '{"b":2}'],
      ['sse:news', 'text'], ['sse:c%3Ad', '{"e":1}'],
      ['s3://my-bucket/logs/%C3%A4%20b', '{"f":1}'], ['s3://my-bucket/', 'line'], ['email:', '{}'],
    ],
    warnings: [],
  });
});

test('An event or payload that is nested too deeply for the server is refused, brackets in texts aside', async () => {
  const { sends: made } = await sends(`
    const deep = n => { let v = 'x'; for (let i = 0; i < n; i++) v = [v]; return v };
    const errors = [];
    for (const send of [() => $send.emit(deep(1000)), () => $send.emit(deep(1001)), () => $send.sse({ channel: 'c',
    payload: { a: deep(1000) } }), () => $send.emit({ t: '"' + '[{'.repeat(2000) + '"\\\\"',
    u: '\\\\' })]) try { send() } catch (e) { errors.push(e.message.slice(-40)) }
    if (errors.length !== 2 || errors.some(e => !e.endsWith('nested more than 1000 levels deep')))
      throw new Error(JSON.stringify(errors))`);
  assert.deepEqual(made.map(([url, body]) => [url, JSON.parse(body).t?.length]), [['emit:', undefined], ['emit:', 4004]]);
});

test('What is asked is taken as it is at the call', async () => {
  const { sends: made } = await sends('const event = { a: 1 }; $.send.emit(event); event.a = 2; $.send.emit(event)');
  assert.deepEqual(made, [['emit:', '{"a":1}'], ['emit:', '{"a":2}']]);
});

for (const [code, message] of /** @type {[string, string][]} */ ([
  ['$send.email()', '$send.email: invalid value undefined for options: pass an object, such as { subject, text }'],
  ['$send.sse("news")', '$send.sse: invalid value news for options: pass an object, such as { channel, payload }'],
  ['$send.s3([])', '$send.s3: invalid value [] for options: pass an object, such as { bucket, prefix, payload }'],
  ['$send.email({ subject: 1 })', '$send.email: invalid value 1 for subject'],
  ['$send.email({ html: null })', '$send.email: invalid value null for html'],
  ['$send.email({ to: "nobody" })', '$send.email: invalid value nobody for to: nobody is no address: write it as name@example.com'],
  ['$send.email({ to: ["a@b.example", 7] })', '$send.email: invalid value 7 for to'],
  ['$send.emit()', '$send.emit: invalid value undefined for event'],
  ['$send.emit({ raw_event: 1 })', '$send.emit: invalid value 1 for raw_event'],
  ['$send.emit({}, 7)', '$send.emit: invalid value 7 for channel'],
  ['$send.emit(Promise.resolve(1))', '$send.emit: invalid value [object Promise] for event: a Promise: await it first'],
  ['$send.sse({ channel: "c", payload: 1 })', '$send.sse: invalid value 1 for payload'],
  ['$send.sse({ payload: "p" })', '$send.sse: invalid value undefined for channel'],
  [
    '$send.sse({ channel: "a\\nid: 1", payload: "p" })',
    '$send.sse: invalid value a\\nid: 1 for channel: it cannot hold line breaks and control characters',
  ],
  ['$send.s3({ bucket: "bucket", payload: {} })', '$send.s3: invalid value undefined for prefix'],
  ['$send.s3({ bucket: "a/b", prefix: "", payload: {} })', '$send.s3: invalid value a/b for bucket'],
  [
    '$send.s3({ bucket: "bucket", prefix: "a/../b", payload: {} })',
    '$send.s3: invalid value a/../b for prefix: it cannot hold `.`, `..` and control characters',
  ],
  ['$send.s3({ bucket: "bucket", prefix: "" })', '$send.s3: invalid value undefined for payload'],
  [
    '$send.s3({ bucket: "bucket", prefix: "", payload: new Map() })',
    '$send.s3: invalid value Map(0) {} for payload: a Map: use Object.fromEntries(map)',
  ],
])) {
  test(`${code} throws at the caller's line`, async () => {
    const { error } = await once(`\n${code}`);
    assert.deepEqual([error.message, error.code, error.line], [message, 'SENDOFF_INVALID_SEND', 2]);
  });
}

test('A circular payload is refused with the reason', async () => {
  const { error } = await once('const a = {}; a.a = a; $.send.emit(a)');
  assert.match(error.message, /^\$send\.emit: invalid value .* for event: it has no JSON form: /);
});

test('`to` is explained where the server does not let steps choose, and goes along where it does', async () => {
  const code = '$send.email({ text: "t", to: "a@b.example, c@d.example" })';
  const without = await sends(code), allowed = await sends(code, { emailTo: true });
  assert.deepEqual(without.sends, [['email:', '{"text":"t"}']]);
  assert.match(without.warnings[0], /no option `to` .*Smtp:To.*Smtp:AllowTo/);
  assert.deepEqual(allowed, { sends: [['email:', '{"text":"t","to":["a@b.example","c@d.example"]}']], warnings: [] });
});

test('Options that do not exist are warned of with what was meant', async () => {
  const { warnings } = await sends(
    '$send.email({ body: "x", from: "y", include_collaborators: true }); $send.s3({ bucket: "bucket", prefix: "", payload: 1, key: "k" }); '
      + '$send.sse({ channel: "c", payload: "p", id: 1 })');
  assert.equal(warnings.length, 5);
  assert.match(warnings[0], /`body`.*did you mean `text` or `html`/);
  assert.match(warnings[1], /`from`.*Smtp:From/);
  assert.match(warnings[3], /`key`.*`prefix`/);
  assert.match(warnings[4], /`id`.*it takes channel, payload/);
});

test('Limits hold for every destination, under its own name', async () => {
  const many = await once('$send.emit({ raw_event: {} }); $send.email({})', {}, { limits: { sends: 1 } });
  assert.match(many.error.message, /^\$send\.email: more than 1 sends/);
  const large = await once('$send.sse({ channel: "c", payload: "x".repeat(2000) })', {}, { limits: { bodyBytes: 1000 } });
  assert.deepEqual([large.error.code, large.error.message.slice(0, 9)], ['SENDOFF_BODY_TOO_LARGE', '$send.sse']);
});

test('The response of any destination does not exist', async () => {
  const result = await once('const sent = await $.send.email({ text: "t" })\nreturn sent.status');
  assert.deepEqual(result.warnings.map(w => w.code), ['send_has_no_response']);
});
