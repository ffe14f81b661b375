// @ts-check
// What $send.http makes of its options: rules A2 to A7.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { encodeSend, partsBytes, readParts } from '../../src/Sendoff.Engine/Workers/Harness/send.mjs';

/** @param {any} options */
function encode(options) {
  /** @type {[string, string][]} */ const warnings = [];
  const send = encodeSend({ method: 'POST', url: 'https://a.example/hook', ...options }, (code, message) => warnings.push([code, message]));
  return {
    ...send, warnings, headers: send.headers, type: send.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1],
    text: send.body === null ? null : Buffer.from(/** @type {any} */ (send.body)).toString(),
  };
}

/** @param {any} options @param {string | RegExp} message */
const refuses = (options, message) => assert.throws(() => encodeSend(options, () => {}), error => {
  assert.equal(/** @type {any} */ (error).code, 'SENDOFF_INVALID_SEND');
  if (typeof message === 'string')
    assert.equal(/** @type {any} */ (error).message, message); else assert.match(/** @type {any} */ (error).message, message);
  return true;
});
const base = { method: 'POST', url: 'https://a.example/' };

test('A missing or bad option is named with its value and path', () => {
  refuses(undefined, '$send.http: invalid value undefined for options: pass an object, such as { method, url, data }');
  refuses({}, '$send.http: invalid value undefined for method');
  refuses({ method: 1 }, '$send.http: invalid value 1 for method');
  refuses({ method: 'NO WAY', url: base.url }, '$send.http: invalid value NO WAY for method');
  refuses({ method: 'GET' }, '$send.http: invalid value undefined for url');
  refuses({ method: 'GET', url: 7 }, '$send.http: invalid value 7 for url');
  refuses({ method: 'GET', url: '/path' }, '$send.http: invalid value /path for url');
  refuses({ ...base, auth: { username: 'u' } }, '$send.http: invalid value undefined for auth.password');
  refuses({ ...base, auth: {} }, '$send.http: invalid value undefined for auth.username');
  refuses({ ...base, auth: null }, '$send.http: invalid value null for auth');
  refuses({ ...base, auth: 'u:p' }, '$send.http: invalid value u:p for auth');
});

test('The first offender is named, in the order method, url, data, headers, params, auth', () => {
  const bad = { method: 1, url: 2, data: () => {}, headers: 'x', params: 'y', auth: 'z' };
  refuses(bad, / for method$/);
  refuses({ ...bad, method: 'GET' }, / for url/);
  refuses({ ...bad, ...base }, / for data/);
  refuses({ ...bad, ...base, data: 1 }, / for headers/);
  refuses({ ...bad, ...base, data: 1, headers: {} }, / for params/);
  refuses({ ...bad, ...base, data: 1, headers: {}, params: {} }, / for auth/);
});

test('A URL that is not http, or has a bad port, is refused', () => {
  for (const url of [
    'ftp://a.example/', 'file:///etc/passwd', 'https://a.example:99999/', 'http://a.example:0/', 'http://', 'javascript:1', '',
  ]) refuses({ method: 'GET', url }, / for url/);
});

test('A lower-case method is upper-cased and a URL object accepted', () => {
  const send = encode({ method: 'patch', url: new URL('https://a.example/x?y=1') });
  assert.equal(send.method, 'PATCH');
  assert.equal(send.url, 'https://a.example/x?y=1');
});

test('CONNECT is no request to a server', () => {
  refuses({ ...base, method: 'CONNECT' }, /^\$send\.http: invalid value CONNECT for method: /);
  refuses({ ...base, method: 'connect' }, / for method: /);
});

test('Only own properties of the options count', () => {
  refuses(Object.create(base), '$send.http: invalid value undefined for method');
  const send = encodeSend(Object.assign(Object.create({ data: 'inherited', auth: 1 }), base), () => {});
  assert.equal(send.body, null);
});

test('A password of the wrong type is not shown',
  () => refuses({ ...base, auth: { username: 'u', password: 12345 } }, '$send.http: invalid value [number] for auth.password'));

const bodies = /** @type {[string, any, string | null, string | undefined][]} */ ([
  ['a plain object', { a: 1, b: undefined }, '{"a":1}', 'application/json'],
  ['an array', [1, 'x'], '[1,"x"]', 'application/json'],
  ['a number', 5, '5', 'application/json'],
  ['a boolean', false, 'false', 'application/json'],
  ['a Date', new Date(0), '"1970-01-01T00:00:00.000Z"', 'application/json'],
  ['a class instance', new (class Point { x = 1; })(), '{"x":1}', 'application/json'],
  ['an object without prototype', Object.assign(Object.create(null), { a: 1 }), '{"a":1}', 'application/json'],
  ['text', 'grüße', 'grüße', 'text/plain; charset=utf-8'],
  ['text that is a JSON object', ' {"a": 1}', ' {"a": 1}', 'application/json'],
  ['text that is a JSON array', '[1]', '[1]', 'application/json'],
  ['text that is a JSON number', '12', '12', 'text/plain; charset=utf-8'],
  ['text that only looks like JSON', '{a}', '{a}', 'text/plain; charset=utf-8'],
  ['empty text', '', '', 'text/plain; charset=utf-8'],
  ['a Buffer', Buffer.from('bytes'), 'bytes', 'application/octet-stream'],
  ['an ArrayBuffer', new TextEncoder().encode('bytes').buffer, 'bytes', 'application/octet-stream'],
  ['a typed array', new Uint8Array(Buffer.from('xbytes')).subarray(1), 'bytes', 'application/octet-stream'],
  ['a DataView', new DataView(new TextEncoder().encode('bytes').buffer), 'bytes', 'application/octet-stream'],
  ['URLSearchParams', new URLSearchParams({ a: '1 2', b: 'ü' }), 'a=1+2&b=%C3%BC', 'application/x-www-form-urlencoded'],
  ['undefined', undefined, null, undefined],
  ['null', null, null, undefined],
]);
for (const [what, data, text, type] of bodies) test(`Data that is ${what} is encoded with its content type`, () => {
  const send = encode({ data });
  assert.equal(send.text, text);
  assert.equal(send.type, type);
});

test('Data that JSON would lose is refused with a hint', () => {
  const circular = /** @type {any} */ ({});
  circular.self = circular;
  refuses({ ...base, data: Promise.resolve() }, '$send.http: invalid value [object Promise] for data: a Promise: await it first');
  refuses({ ...base, data: { then() {} } }, / for data: a Promise: await it first$/);
  refuses({ ...base, data: new Map([[1, 2]]) }, / for data: a Map: use Object.fromEntries/);
  refuses({ ...base, data: new Set([1]) }, / for data: a Set: use /);
  refuses({ ...base, data: function send() {} }, '$send.http: invalid value [Function: send] for data: a function cannot be sent');
  refuses({ ...base, data: Symbol('s') }, /invalid value Symbol\(s\) for data/);
  refuses({ ...base, data: 10n }, /invalid value 10n for data: JSON has no BigInt/);
  refuses({ ...base, data: { deep: [10n] } }, / for data: .*BigInt/);
  refuses({ ...base, data: circular }, / for data: Converting circular structure/);
  refuses({ ...base, data: process.stdin }, / for data: a stream/);
  refuses({ ...base, data: new ReadableStream() }, / for data: a stream/);
  refuses({ ...base, data: { toJSON() { throw new Error('no'); } } }, / for data: no$/);
  refuses({ ...base, data: { toJSON() {} } }, / for data: it has no JSON form$/);
});

test('A content type of the user always wins', () => {
  assert.deepEqual(
    encode({ data: { a: 1 }, headers: { 'Content-Type': 'application/vnd.x+json' } }).headers,
    [['Content-Type', 'application/vnd.x+json']]);
  assert.equal(encode({ data: '<a/>', headers: { 'content-type': 'text/xml' } }).type, 'text/xml');
  assert.equal(encode({ headers: { 'content-type': 'text/xml' } }).type, 'text/xml');
  assert.equal(encode({ data: 'x', headers: { 'content-type': null } }).type, 'text/plain; charset=utf-8');
});

test('A content type without a value is none, and the header behind it stays', () => {
  for (const none of [[], [null], undefined]) {
    assert.deepEqual(
      encode({ data: { a: 1 }, headers: { 'content-type': none, 'x-a': 'b' } }).headers,
      [['x-a', 'b'], ['content-type', 'application/json']]);
  }
});

test('A plain object under a form content type is form-encoded', () => {
  const send = encode(
    { data: { a: '1 2', list: ['x', 'y'], o: { p: true }, gone: null }, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
  assert.equal(send.text, 'a=1+2&list[]=x&list[]=y&o[p]=true');
});

test('FormData becomes multipart, files included', async () => {
  const form = new FormData();
  form.append('name', 'Luke\nSky');
  form.append('file', new File(['content'], 'a"b.txt', { type: 'text/plain' }));
  const send = encode({ data: form });
  const boundary = /** @type {string} */ (/^multipart\/form-data; boundary=(\S+)$/.exec(send.type ?? '')?.[1]);
  form.append('later', 'not sent');
  const body = Buffer.from(await readParts(/** @type {any} */ (send.parts))).toString();
  assert.equal(
    body, `--${boundary}\r\ncontent-disposition: form-data; name="name"\r\n\r\nLuke\r\nSky\r\n`
      + `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a%22b.txt"\r\ncontent-type: text/plain\r\n`
      + `\r\ncontent\r\n--${boundary}--\r\n`);
  assert.equal(partsBytes(/** @type {any} */ (send.parts)), Buffer.byteLength(body));
  const parsed = await new Response(body, { headers: { 'content-type': /** @type {string} */ (send.type) } }).formData();
  assert.equal(parsed.get('name'), 'Luke\r\nSky');
});

test('FormData without files is encoded at once, and a chosen multipart type gets its boundary', () => {
  const form = new FormData();
  form.append('a', '1');
  const send = encode({ data: form, headers: { 'Content-Type': 'multipart/form-data' } });
  assert.match(send.type ?? '', /^multipart\/form-data; boundary=\S+$/);
  assert.match(send.text ?? '', /name="a"\r\n\r\n1\r\n/);
  assert.match(
    encode({ data: form, headers: { 'Content-Type': 'multipart/form-data; boundary=mine' } }).text ?? '', /^--mine\r\n[^]*--mine--\r\n$/);
  assert.match(encode({ data: { a: 1 }, headers: { 'Content-Type': 'multipart/form-data' } }).text ?? '', /name="a"\r\n\r\n1\r\n/);
});

test('A Blob is sent with its bytes and type', async () => {
  const send = encode({ data: new Blob(['{}'], { type: 'application/xml' }) });
  assert.equal(send.type, 'application/xml');
  assert.equal(Buffer.from(await readParts(/** @type {any} */ (send.parts))).toString(), '{}');
  assert.equal(encode({ data: new Blob(['x']) }).type, 'application/octet-stream');
});

test('What stands for one text is JSON under a form content type, and bytes in a form are refused', () => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  assert.equal(encode({ data: new Date(0), headers }).text, '"1970-01-01T00:00:00.000Z"');
  refuses({ ...base, data: { a: new Blob(['x']) }, headers }, / for data\.a: it has no text$/);
  refuses({ ...base, data: { a: Buffer.from('x') }, headers: { 'content-type': 'multipart/form-data' } }, / for data\.a: it has no text$/);
});

const queries = /** @type {[string, any, string][]} */ ([
  ['https://a.example/x', { b: 2 }, 'https://a.example/x?b=2'],
  ['https://a.example/x?a=1', { b: 2 }, 'https://a.example/x?a=1&b=2'],
  ['https://a.example/x?a=1&b=old&c=3#frag', { b: 'new' }, 'https://a.example/x?a=1&c=3&b=new'],
  ['https://a.example/x?k[]=1&k=2', { k: [3, 4] }, 'https://a.example/x?k[]=3&k[]=4'],
  ['https://a.example/x?sp+ace=1', { 'sp ace': 2 }, 'https://a.example/x?sp%20ace=2'],
  ['https://a.example/x', { d: new Date(0) }, 'https://a.example/x?d=1970-01-01T00%3A00%3A00.000Z'],
  ['https://a.example/x', { o: { p: { q: 1 }, r: [2] } }, 'https://a.example/x?o[p][q]=1&o[r][]=2'],
  ['https://a.example/x?n=1', { n: null, u: undefined }, 'https://a.example/x?n=1'],
  ['https://a.example/x', { e: '', f: false, z: 0 }, 'https://a.example/x?e=&f=false&z=0'],
  ['https://a.example/x', { 'ü&': 'a=b+c&d' }, 'https://a.example/x?%C3%BC%26=a%3Db%2Bc%26d'],
  ['https://a.example/x?a=1', new URLSearchParams('a=2&a=3&b=4'), 'https://a.example/x?a=2&a=3&b=4'],
  ['https://a.example/x?', {}, 'https://a.example/x?'],
  ['https://a.example/x?q=%ff', { b: 1 }, 'https://a.example/x?q=%ff&b=1'],
  ['https://a.example/#top', undefined, 'https://a.example/'],
  ['https://a.example/x?f[a]=1&f[b]=2', { 'f[b]': 3 }, 'https://a.example/x?f[a]=1&f[b]=3'],
  ['https://a.example/x?f[a]=1&f[b][c]=2', { f: { z: 3 } }, 'https://a.example/x?f[z]=3'],
  ['https://a.example/x?50%+off=1', { '50% off': 2 }, 'https://a.example/x?50%25%20off=2'],
  ['https://a.example/x?%ff=1', { '%ff': 2 }, 'https://a.example/x?%ff=1&%25ff=2'],
  ['https://a.example/x', { '': [1], a: { '': 2 } }, 'https://a.example/x?[]=1&a[]=2'],
]);
for (const [url, params, expected] of queries)
  test(`Params ${JSON.stringify(params)} on ${url} make ${expected}`, () => assert.equal(encode({ url, params }).url, expected));

test('Params that have no text are refused', () => {
  const circular = /** @type {any} */ ({});
  circular.self = circular;
  refuses({ ...base, params: 'a=1' }, / for params/);
  refuses({ ...base, params: [1] }, / for params/);
  refuses({ ...base, params: new Map() }, / for params: a Map/);
  refuses({ ...base, params: { f() {} } }, / for params\.f$/);
  refuses({ ...base, params: { p: Promise.resolve() } }, / for params\.p: a Promise/);
  for (const params of [new Date(), Buffer.from('a'), new Blob(['a']), new FormData(), new String('a=1'), new URL(base.url)])
    refuses({ ...base, params }, / for params: an object/);
  refuses({ ...base, params: { b: Buffer.from('a') } }, / for params\.b: it has no text$/);
  refuses({ ...base, params: { b: [new URLSearchParams('a=1')] } }, / for params\.b\[0\]: it has no text$/);
  refuses({ ...base, params: circular }, /nested too deeply, or circular$/);
});

test('Credentials become a Basic authorization header, which wins', () => {
  const basic = (/** @type {string} */ text) => `Basic ${Buffer.from(text).toString('base64')}`;
  assert.deepEqual(
    encode({ auth: { username: 'ü', password: 'p:w' }, headers: { Authorization: 'Bearer x' } }).headers,
    [['authorization', basic('ü:p:w')]]);
  const fromUrl = encode({ url: 'https://us%40er:pa%3Ass@a.example/x?e=a@b' });
  assert.equal(fromUrl.url, 'https://a.example/x?e=a@b');
  assert.deepEqual(fromUrl.headers, [['authorization', basic('us@er:pa:ss')]]);
  assert.deepEqual(
    encode({ url: 'https://u:p@a.example/', auth: { username: 'v', password: 'w' } }).headers, [['authorization', basic('v:w')]]);
  assert.deepEqual(
    encode({ url: 'https://ü%:%ff@a.example/' }).headers,
    [['authorization', `Basic ${Buffer.from([0xc3, 0xbc, 0x25, 0x3a, 0xff]).toString('base64')}`]]);
  assert.equal(encode({ url: 'https://a.example/x@y' }).url, 'https://a.example/x@y');
});

test('Header values become text, arrays repeat, null drops, the last of a name wins', () => {
  const send = encode(
    { headers: {
      'X-N': 1, 'X-B': true, 'X-A': ['a', 2, null], 'X-Gone': null, 'X-Also': undefined, 'x-case': 'first', 'X-CASE': ' last ',
    } });
  assert.deepEqual(send.headers, [['X-N', '1'], ['X-B', 'true'], ['X-A', 'a'], ['X-A', '2'], ['X-CASE', 'last']]);
  assert.deepEqual(encode({ headers: { 'X-Gone': 'a', 'x-gone': null, 'X-None': 'b', 'x-none': [] } }).headers, []);
  assert.deepEqual(encode({ headers: { 'x-a': '\t\u00a0b\u00a0 ' } }).headers, [['x-a', '\u00a0b\u00a0']]);
  assert.deepEqual(encode({ headers: new Headers({ 'X-A': '1' }) }).headers, [['x-a', '1']]);
});

test('Illegal header names and values are refused with their path', () => {
  refuses({ ...base, headers: { 'x-name': 'a\r\nb: c' } }, /^\$send\.http: invalid value a\\r\\nb: c for headers\.x-name/);
  refuses({ ...base, headers: { 'x-name': 'a\0' } }, / for headers\.x-name/);
  refuses({ ...base, headers: { authorization: 'Bearer x\n' } }, / for headers\.authorization/);
  refuses({ ...base, headers: { host: ['a.example', 'b.example'] } }, / for headers\.host: a request has one host$/);
  refuses({ ...base, headers: { 'x-name': '€' } }, / for headers\.x-name/);
  refuses({ ...base, headers: { 'x-name': {} } }, / for headers\.x-name$/);
  refuses({ ...base, headers: { 'x-name': ['ok', 'a\nb'] } }, / for headers\.x-name/);
  refuses({ ...base, headers: { 'bad name': 'x' } }, / for headers\.bad name/);
  refuses({ ...base, headers: { 'a:\r\n': 'x' } }, / for headers\.a:\\r\\n/);
  refuses({ ...base, headers: [['a', 'b']] }, / for headers/);
  assert.deepEqual(encode({ headers: { 'x-latin': 'é' } }).headers, [['x-latin', 'é']]);
});

test('Headers that the sender sets are ignored with a warning, host is honoured', () => {
  const ignored = [
    'Content-Length', 'transfer-encoding', 'Connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'proxy-connection', 'expect',
    'http2-settings',
  ];
  const send = encode({ headers: { Host: 'virtual.example', ...Object.fromEntries(ignored.map(name => [name, '1'])) } });
  assert.deepEqual(send.headers, [['Host', 'virtual.example']]);
  assert.deepEqual(send.warnings.map(([code]) => code), ignored.map(() => 'ignored_header'));
  assert.match(send.warnings[0][1], /`Content-Length`/);
});

test('Options that do not exist are warned of, with what to do', () => {
  const { warnings } = encode({ body: 1, timeout: 2, validateStatus: 3, retry: 4, json: true, foo: 5, not: undefined });
  assert.deepEqual(warnings.map(([code]) => code), Array(6).fill('unknown_send_option'));
  assert.match(warnings[0][1], /did you mean `data`\?/);
  assert.match(warnings[1][1], /not supported here/);
  assert.match(warnings[5][1], /method, url, data, headers, params and auth/);
});
