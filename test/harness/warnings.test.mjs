// @ts-check
// Mistakes are explained, with a code and a place: rules A8 and E8.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

const GET = '{ method: "GET", url: "https://a.example/" }';
const MULTILINE = '{\n  method: "GET",\n  url: "https://a.example/(x)",\n}';
const codes = (/** @type {any} */ result) => result.warnings.map((/** @type {any} */ warning) => warning.code);

test('An unknown option is warned of once a step, at the line of the call', async () => {
  const result = await once('for (let i = 0; i < 3; i++)\n  $send.http({ method: "POST", url: "https://a.example/", body: 1 })');
  assert.deepEqual(result.warnings.map(({ code, line, column }) => [code, line, column]), [['unknown_send_option', 2, 9]]);
  assert.equal(result.sends.length, 3);
});

test('An unknown option in a module has its place too', async () => {
  const result = await once(
    { 's.mjs': 'export default {\n  run({ $ }) {\n    $.send.http({ method: "POST", url: "https://a.example/", timeout: 1, '
      + 'headers: { te: "x" } })\n  }\n}' });
  assert.deepEqual(
    result.warnings.map(({ code, line, column }) => [code, line, column]), [['ignored_header', 3, 12], ['unknown_send_option', 3, 12]]);
});

for (const code of [
  `const response = await $send.http(${GET})\nreturn response.data`,
  `const response = await $.send.http(${MULTILINE})\nconsole.log(response.status)`,
  `let r\nr = $.send.http(${GET}); r["data"]`,
  `const { data } = await $send.http(${GET})`,
  `const {\n  data, status } = $.send.http(${MULTILINE})`,
  `const res = await $send.http(${GET});\nconst { data } = res`,
  `return (await $send.http(${MULTILINE})).data`,
  `$send.http(${MULTILINE}).then(r => r)`,
  `await $.send.http(${GET})\n  .catch(() => {})`,
  `const [a] = $send.http(${GET})`,
]) test(`The response that a step expects does not exist: ${code.replaceAll('\n', ' ')}`, async () => {
  for (const files of /** @type {any[]} */ ([{ 's.js': code }, { 's.mjs': `export default { async run({ steps, $ }) { ${code} } }` }])) {
    const result = await once(files);
    assert.deepEqual(codes(result), ['send_has_no_response'], JSON.stringify(result.error));
    assert.equal(result.error.name, 'TypeError');
    assert.equal(result.warnings[0].line, result.error.line);
    assert.match(result.warnings[0].message, /the response does not exist yet: .*axios or fetch/);
  }
});

for (const [code, line] of /** @type {[string, number][]} */ ([
  [`try {\n  const reply = await $.send.http(${GET});\n  return { tabs: reply.data.tabs };\n} catch { return 1 }`, 3],
  [`const reply = await $.send.http(${MULTILINE});\nif (reply?.status !== 200) return 'failed'`, 5],
  [`let reply; // reply.data is not there\nreply = await $send.http(${GET});\nreturn reply`, 3],
  [`const reply = await $send.http(${GET}), text = "reply.data";\nreturn [reply?.[0]]`, 2],
  [`try {\n  const { data } = await $.send.http(${GET}) } catch {}`, 2],
  [`return (await $.send.http(${GET}))?.data`, 1],
  [`return $send.http(${GET})?.then(r => r.data)`, 1],
  [`try { return (await ($.send.http(${GET}))).data } catch { return 1 }`, 1],
  [`const call = async url => $.send.http({ method: 'GET', url });\n`
    + `const replies = await Promise.all(['http://a.example/'].map(u => call(u)));\nreturn replies.map(r =>\n  r.status)`, 4],
  [`const call = async url => { return await $.send.http({ method: 'GET', url }) };\nreturn (await call('http://a.example/')).data`, 2],
])) test(`A response that the code asks for is warned of, whether it fails or not: ${code.replaceAll('\n', ' ')}`, async () => {
  for (const files of /** @type {any[]} */ ([{ 's.js': code }, { 's.mjs': `export default { async run({ steps, $ }) { ${code} } }` }])) {
    const result = await once(files);
    assert.deepEqual(result.warnings.map(w => [w.code, w.line]), [['send_has_no_response', line]]);
  }
});

for (const code of [
  `await $send.http(${GET})`,
  `return await $send.http(${GET})`,
  `return await Promise.all([1, 2].map(i => $send.http(${GET}))).then(all => all.length)`,
  `const sent = $send.http(${GET}); await sent; const event2 = { sent: 1 }; return event2.sent`,
  `const list = [$send.http(${GET})].length; return list`,
  `const log = []; log.push($send.http(${GET})); return log.length`,
  `const f = x => [x]; return f($send.http(${GET})).length`,
  `// const r = await $send.http({}); r.data\nconst text = "(await $send.http({})).data"; $send.http(${GET}); return text`,
  `const reply = await $send.http(${GET}); const replies = [1]; return replies.length + (reply === undefined ? 1 : 0)`,
]) test(`A send whose response nobody reads is not warned of: ${code}`, async () => {
  const result = await once(code);
  assert.equal(result.error ?? null, null);
  assert.deepEqual(codes(result), []);
});

for (const code of [
  `$send.http(${GET}); const other = undefined; other.data`,
  `const response = await $send.http(${GET}); event.missing.response`,
  `$send.http(${GET}); const { a } = event.missing`,
  `$send.http(${GET}); null.x`,
  'const response = undefined; response.data',
]) test(`Another undefined is not blamed on a send: ${code}`, async () => {
  const result = await once(code);
  assert.equal(result.error.name, 'TypeError');
  assert.deepEqual(codes(result), []);
});

test('A destination that does not exist is warned of, and its TypeError stays', async () => {
  for (const [code, name] of [['$.send.slack({})', 'slack'], ['$send.discord({})', 'discord'], ['$.send.sql({})', 'sql']]) {
    const result = await once(`\n${code}`);
    assert.match(result.error.message, new RegExp(`send\\.${name} is not a function`));
    assert.deepEqual(result.warnings.map(warning => [warning.code, warning.line]), [['unknown_destination', 2]]);
    assert.match(result.warnings[0].message, new RegExp(name));
  }
});

test('Work that is still pending at the end is warned of and taints the worker', async () => {
  for (const code of ['setTimeout(() => {}, 5000)', 'require("net").createServer().listen(0)', 'setInterval(() => {}, 1000)']) {
    const result = await once(code);
    assert.deepEqual(codes(result), ['unfinished_work']);
    assert.equal(
      result.warnings[0].message,
      'This step was still trying to run code when the step ended. Make sure you await all Promises, or promisify callback functions.');
    assert.deepEqual([result.end.status, result.end.tainted], ['succeeded', true]);
  }
});

test('Work that has ended is not warned of', async () => {
  const worker = await Worker.start(`
    const http = require("http")
    const server = http.createServer((q, r) => r.end("ok")).listen(0)
    await new Promise(r => server.once("listening", r))
    const text = await (await fetch("http://127.0.0.1:" + server.address().port)).text()
    await new Promise(r => http.get({ port: server.address().port }, response => response.resume().on("end", r)))
    await new Promise(r => { server.close(r); server.closeAllConnections() })
    require("fs").readFile("/etc/hostname", () => {})
    setImmediate(() => {})
    await require("fs/promises").readFile("/etc/hostname")
    clearTimeout(setTimeout(() => {}, 5000)); setTimeout(() => {}, 5000).unref()
    return text`);
  for (let i = 0; i < 3; i++) {
    const result = await worker.run();
    assert.equal(result.value, 'ok');
    assert.deepEqual([codes(result), result.end.tainted], [[], false]);
  }
  await worker.stop();
});

test('Work that is ending is not warned of on a machine that is busy elsewhere', async () => {
  // The file takes several turns of the event loop; before the second of them, the step's thread has no processor for 100 ms.
  const result = await once(`
    const heldUp = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    require("fs").readFile("/etc/hostname", () => {})
    setImmediate(() => setImmediate(heldUp))`);
  assert.deepEqual([codes(result), result.end.tainted], [[], false]);
});

test('Work pending in one step only does not taint the worker once it has ended', async () => {
  const files = {
    'kept.cjs': '', 'a.js': 'require("./kept.cjs").timer = setTimeout(() => {}, 5000)', 'b.js': 'clearTimeout(require("./kept.cjs").timer)',
  };
  const result = await once(files, {}, { steps: ['a', 'b'].map(name => ({ name, file: `${name}.js` })) });
  assert.deepEqual(codes(result), ['unfinished_work']);
  assert.equal(result.end.tainted, false);
});

test('Resources that modules keep open are not pending work', async () => {
  const result = await once({ 's.mjs': 'setInterval(() => {}, 60000); export default { run() {} }' });
  assert.deepEqual([codes(result), result.end.tainted], [[], false]);
});

test('A value that is not JSON is left out with a warning', async () => {
  const result = await once(
    'this.f = () => {}; this.ok = 1; const c = {}; c.c = c; $.export("circular", c); $.export("p", Promise.resolve(1)); return 10n');
  assert.deepEqual(codes(result), Array(4).fill('export_not_serialisable'));
  assert.deepEqual(result.step.exports, { ok: 1 });
  assert.equal(result.exports.length, 0);
  assert.equal(result.end.status, 'succeeded');
  assert.deepEqual(result.warnings.map(({ line }) => line), [1, 1, null, null]);
});
