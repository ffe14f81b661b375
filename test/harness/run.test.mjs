// @ts-check
// Runs, from their first frame to their last: rules A3, A9, B2, E4, E5, E7, E9.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

const POST = '{ method: "POST", url: "https://a.example/hook", data: { n: 1 } }';

test('A send is handed over at once, as a snapshot, and returns undefined', async () => {
  const result = await once(
    'const data = { n: 1 }; const r = $send.http({ method: "POST", url: "https://a.example/", data, headers: { "x-a": 1 } }); data.n = 2; '
      + 'await r; console.log("after"); return r === undefined');
  assert.deepEqual(result.frames.map(frame => frame.kind), ['send', 'log', 'stepEnd', 'runEnd']);
  const [send] = result.sends;
  assert.deepEqual([send.run, send.step, send.index, send.method, send.url, send.text], [1, 0, 0, 'POST', 'https://a.example/', '{"n":1}']);
  assert.deepEqual(send.headers, [['x-a', '1'], ['content-type', 'application/json']]);
  assert.equal(result.value, true);
});

test('A send is with the server before a worker that is killed has gone', async () => {
  const worker = await Worker.start(`$send.http(${POST}); process.kill(process.pid, "SIGKILL")`);
  worker.post();
  await worker.closed;
  assert.equal(worker.frames.filter(frame => frame.kind === 'send').length, 1);
  await worker.stop();
});

test('Megabytes of sends arrive whole and in order', async () => {
  const result = await once(
    'for (let i = 0; i < 40; i++) $send.http({ method: "POST", url: "https://a.example/" + i, data: "ü".repeat(500000) })');
  assert.deepEqual(result.sends.map(send => send.url), Array.from({ length: 40 }, (_, i) => `https://a.example/${i}`));
  assert.ok(result.sends.every(send => send.body.length === 1000000));
});

test('An invalid send throws at the line of its caller, and code may catch it', async () => {
  const caught = await once(
    'try {\n  $send.http({ method: "POST" })\n} catch (e) { return [e.code, e.message, '
      + 'e.stack.split("\\n")[1].match(/:(\\d+):\\d+\\)?$/)[1]] }');
  assert.deepEqual(caught.value, ['SENDOFF_INVALID_SEND', '$send.http: invalid value undefined for url', '2']);
  const failed = await once('\n  $send.http({ method: "POST" })');
  assert.equal(failed.end.status, 'failed');
  assert.deepEqual([failed.error.line, failed.error.column, failed.error.code], [2, 9, 'SENDOFF_INVALID_SEND']);
  assert.equal(failed.sends.length, 0);
});

test('More sends or bytes than the limits name the setting', async () => {
  const many = await once(`for (let i = 0; i < 4; i++) $send.http(${POST})`, {}, { limits: { sends: 3 } });
  assert.equal(many.sends.length, 3);
  assert.match(many.error.message, /more than 3 sends in a run \(setting Sends:MaxPerRun\)/);
  for (const data of ['"x".repeat(101)', '"ü".repeat(51)', 'Buffer.alloc(101)', 'new Blob(["x".repeat(101)])']) {
    const large = await once(
      `$send.http({ method: "POST", url: "https://a.example/", data: ${data} })`, {}, { limits: { bodyBytes: 100 } });
    assert.match(large.error.message, /over the limit of 100 \(setting Sends:MaxBodyBytes\)/);
    assert.equal(large.sends.length, 0);
  }
  const fits = await once(
    '$send.http({ method: "POST", url: "https://a.example/", data: "ü".repeat(50) })', {}, { limits: { bodyBytes: 100 } });
  assert.equal(fits.sends.length, 1);
});

test('A URL, headers and the sum of all sends are bounded, and what was sent before stays', async () => {
  const step =
    (/** @type {string} */ second) => `$send.http({ method: "GET", url: "https://a.example/" }); const thrown = [];
      for (const send of [() => ${second}, () => $send.http({ method: "GET", url: "https://a.example/2" })])
      try { send(); thrown.push(null) } catch (e) { thrown.push([e.code, e.message]) } return thrown`;
  const cases = /** @type {const} */ ([
    [
      { urlBytes: 100 }, '$send.http({ method: "GET", url: "https://a.example/" + "x".repeat(83) })', 'SENDOFF_URL_TOO_LARGE',
      '$send.http: the URL has 101 bytes, over the limit of 100 (setting Sends:MaxUrlBytes)',
    ],
    [
      { urlBytes: 100 }, '$send.http({ method: "GET", url: "https://a.example/", params: { a: "é".repeat(20) } })',
      'SENDOFF_URL_TOO_LARGE',
      '$send.http: the URL has 141 bytes, over the limit of 100 (setting Sends:MaxUrlBytes)',
    ],
    [
      { urlBytes: 100 }, '$send.emit({}, "x".repeat(100))', 'SENDOFF_URL_TOO_LARGE',
      '$send.emit: the URL of the channel has 105 bytes, over the limit of 100 (setting Sends:MaxUrlBytes)',
    ],
    [
      { headerBytes: 100 }, '$send.http({ method: "GET", url: "https://a.example/", headers: { a: "x".repeat(45), b: "x".repeat(46) } })',
      'SENDOFF_HEADERS_TOO_LARGE', '$send.http: the headers have 101 bytes in all, over the limit of 100 (setting Sends:MaxHeaderBytes)',
    ],
    [
      { headerBytes: 100 }, '$send.http({ method: "GET", url: "https://a.example/", auth: { username: "u", password: "x".repeat(80) } })',
      'SENDOFF_HEADERS_TOO_LARGE', '$send.http: the headers have 135 bytes in all, over the limit of 100 (setting Sends:MaxHeaderBytes)',
    ],
    ...['"x".repeat(500)', '"ü".repeat(250)', 'Buffer.alloc(500)', 'new Blob(["x".repeat(500)])'].map(data => /** @type {const} */ ([
      { sendBytes: 500 }, `$send.http({ method: "POST", url: "https://a.example/", data: ${data} })`, 'SENDOFF_SENDS_TOO_LARGE',
      '$send.http: with this one, the run\'s sends have more than 500 bytes in all (setting Sends:MaxBytesPerRun)'])),
    [
      { sendBytes: 500 }, '$send.http({ method: "GET", url: "https://a.example/", headers: { a: "x".repeat(500) } })',
      'SENDOFF_SENDS_TOO_LARGE',
      '$send.http: with this one, the run\'s sends have more than 500 bytes in all (setting Sends:MaxBytesPerRun)',
    ],
  ]);
  for (const [limits, second, code, message] of cases) {
    const result = await once(step(second), {}, { limits });
    assert.deepEqual(result.value, [[code, message], null], second);
    assert.deepEqual(result.sends.map(send => send.url), ['https://a.example/', 'https://a.example/2']);
  }
  for (const data of ['', ', data: "x".repeat(21)', ', data: new Blob(["x".repeat(21)])']) {
    const sums = await once(
      `for (let i = 0; i < 3; i++) $send.http({ method: "GET", url: "https://a.example/"${data} })`, {},
      { limits: { sendBytes: data === '' ? 62 : 240 } });
    assert.deepEqual([sums.sends.length, sums.error?.code], [2, 'SENDOFF_SENDS_TOO_LARGE'], data);
  }
  const fits = await once(
    '$send.http({ method: "GET", url: "https://a.example/" + "x".repeat(82), headers: { a: "x".repeat(95) } })', {},
    { limits: { urlBytes: 100, headerBytes: 100, sendBytes: 203 } });
  assert.equal(fits.sends.length, 1);
});

test('A Blob keeps its place among the sends, and the step waits for its bytes', async () => {
  const result = await once(
    'const f = new FormData(); f.append("file", new File(["bytes"], "a.txt")); for (const data of [new Blob(["blob"]), "text", '
      + 'f]) $send.http({ method: "POST", url: "https://a.example/", data })');
  const sends = result.sends.sort((a, b) => a.index - b.index);
  assert.deepEqual(sends.map(send => send.index), [0, 1, 2]);
  assert.equal(sends[0].text, 'blob');
  assert.match(sends[2].text, /filename="a\.txt"[^]*bytes/);
  assert.equal(result.frames.at(-2).kind, 'stepEnd');
});

test('Runs execute one after another, in order', async () => {
  const worker = await Worker.start('console.log("in"); await new Promise(r => setTimeout(r, event.n)); console.log("out")');
  for (const n of [9, 1, 4]) worker.post({ n });
  await worker.next('runEnd', frame => frame.run === 3);
  assert.deepEqual(
    worker.frames.filter(frame => frame.kind === 'log').map(frame => [frame.run, frame.text]),
    [1, 2, 3].flatMap(run => [[run, 'in'], [run, 'out']]));
  await worker.stop();
});

test('Revoke gives back what has not started, and nothing else', async () => {
  const worker = await Worker.start('if (event.wait) await new Promise(r => { setTimeout(r, 30) })');
  worker.socket.cork(); // they arrive together
  worker.post({ wait: true });
  worker.post();
  worker.post();
  worker.send(3, { runs: [1, 3, 99] });
  worker.socket.uncork();
  assert.deepEqual((await worker.next('revoked')).runs, [3]);
  await worker.next('runEnd', frame => frame.run === 2);
  assert.equal((await worker.run()).end.run, 4);
  assert.ok(!worker.frames.some(frame => frame.run === 3));
  await worker.stop();
});

test('A run whose time to start has passed is given back as expired, and the next one in time is started', async () => {
  const worker = await Worker.start('const end = Date.now() + event.busy; while (Date.now() < end);');
  const { clock } = await worker.next('ready');
  const late = clock + 60000, early = clock;
  worker.socket.cork(); // they arrive together
  worker.post({ busy: 20 });
  worker.post({ busy: 0 }, early);
  worker.post({ busy: 0 }, early);
  worker.post({ busy: 0 }, late);
  worker.post({ busy: 0 }, early);
  worker.post({ busy: 0 });
  worker.socket.uncork();
  await worker.next('runEnd', frame => frame.run === 6);
  const told = worker.frames.filter(frame => frame.kind === 'expired' || frame.kind === 'runEnd').map(frame => frame.runs ?? frame.run);
  assert.deepEqual(told, [1, [2, 3], 4, [5], 6]);
  await worker.stop();
});

test('A frame in many pieces is one frame', async () => {
  const worker = await Worker.start('return event.text.length');
  const { frame } = await import('./support.mjs');
  const bytes = frame(2, { run: 77, id: 'x', ts: 0, deadlineMs: 1, event: { text: 'ü'.repeat(300000) } });
  worker.socket.write(bytes.subarray(0, 3));
  await new Promise(resolve => setImmediate(resolve));
  worker.socket.write(bytes.subarray(3, 70000));
  await new Promise(resolve => setTimeout(resolve, 5));
  worker.socket.write(Buffer.concat([bytes.subarray(70000), frame(3, { runs: [] })]));
  const end = await worker.next('stepEnd', each => each.run === 77);
  assert.equal(end.exports.$return_value, 300000);
  await worker.next('revoked');
  await worker.stop();
});

test('The worker ends when its server does', async () => {
  const worker = await Worker.start('');
  worker.socket.destroy();
  assert.equal(await worker.exited, 0);
  await worker.stop();
});

test('Exports pass between steps as JSON, a copy for each', async () => {
  const result = await once({
    'a.js': 'this.x = { d: new Date(0) }; event.n = 99; return [1, undefined]',
    'b.mjs': 'export default { run({ steps, $ }) { const v = { deep: 1 }; $.export("v", v); v.deep = 2; steps.a.x.d = "changed"; '
      + 'return [steps.trigger.event.n, steps.a.$return_value] } }',
    'c.js': 'return [steps.a.x.d, steps.b.v.deep, steps.b.$return_value, Object.keys(steps), event.n]',
  }, { n: 1 });
  assert.deepEqual(result.exports.map(({ step, name, value }) => [step, name, value]), [[1, 'v', { deep: 1 }]]);
  assert.deepEqual(result.steps[0].exports, { $return_value: [1, null], x: { d: '1970-01-01T00:00:00.000Z' } });
  assert.deepEqual(result.value, ['1970-01-01T00:00:00.000Z', 1, [1, [1, null]], ['trigger', 'a', 'b', 'c'].slice(0, 3), 1]);
});

test('The context tells of the workflow and the run', async () => {
  const { value } = await once({ 's.mjs': 'export default { run({ steps, $ }) { return [steps.trigger.context, $.context] } }' });
  assert.equal(value[0].id, 'run-1');
  assert.equal(value[0].ts, '2023-11-14T22:13:20.000Z');
  assert.deepEqual([value[0].workflow_id, value[0].workflow_name, value[0].deployment_id, value[0].replay], ['p_1', 'flow', 'd_7', false]);
  assert.ok(value[1].deadline > Date.now());
  assert.equal(value[1].run.runs, 1);
});

test('$end ends the run as succeeded and skips the rest', async () => {
  const result = await once({ 'a.js': `$send.http(${POST}); $end("enough"); $send.http(${POST})`, 'b.js': 'return 1' });
  assert.equal(result.end.status, 'succeeded');
  assert.equal(result.end.message, 'enough');
  assert.equal(result.sends.length, 1);
  assert.deepEqual(result.steps.map(step => step.status), ['succeeded', 'skipped']);
});

test('$end that is caught lets the run go on', async () => {
  const result = await once(
    { 'a.js': 'try { $end("no") } catch (e) { return [e.code, e.message, e.__pd_end.message] }', 'b.js': 'return steps.a.$return_value' });
  assert.deepEqual(result.value, ['SENDOFF_END', '', 'no']);
  assert.equal(result.end.message, undefined);
});

test('$.flow.exit lets the step finish and skips the following', async () => {
  const result = await once(
    { 'a.mjs': `export default { run({ $ }) { $.flow.exit("done"); $.send.http(${POST}); return 1 } }`, 'b.js': '', 'c.js': '' });
  assert.equal(result.end.message, 'done');
  assert.equal(result.sends.length, 1);
  assert.deepEqual(
    result.steps.map(step => [step.status, step.exports]), [['succeeded', { $return_value: 1 }], ['skipped', {}], ['skipped', {}]]);
});

test('A disabled step is skipped', async () => {
  const result = await once(
    { 'a.js': 'throw 1', 'b.js': 'return typeof steps.a' }, {},
    { steps: [{ name: 'a', file: 'a.js', disabled: true }, { name: 'b', file: 'b.js' }] });
  assert.deepEqual(result.steps.map(step => step.status), ['skipped', 'succeeded']);
  assert.equal(result.value, 'undefined');
});

test('A failing step ends the run; what it exported before stays', async () => {
  const result = await once({ 'a.js': 'this.before = 1\n\n  throw Object.assign(new RangeError("boom"), { code: "E_MINE" })', 'b.js': '' });
  assert.equal(result.end.status, 'failed');
  assert.equal(result.steps.length, 1);
  assert.deepEqual(result.step.exports, { before: 1 });
  assert.deepEqual(
    [result.error.name, result.error.message, result.error.code, result.error.line, result.error.column],
    ['RangeError', 'boom', 'E_MINE', 3, 23]);
});

test('A stack holds the frames of the user only', async () => {
  const result = await once(
    {
      's.mjs': 'import { fail } from "./lib/fail.mjs"\nexport default {\n  async run() {\n    await null\n    fail()\n  }\n}',
      'lib/fail.mjs': 'export function fail() {\n  throw new Error("deep")\n}',
    }, {}, { steps: [{ name: 's', file: 's.mjs' }] });
  assert.equal(result.error.stack, 'Error: deep\n    at fail (lib/fail.mjs:2:9)\n    at Object.run (s.mjs:5:5)');
  assert.deepEqual([result.error.line, result.error.column], [5, 5]);
});

test('Line and column are exact on the first line of a body', async () => {
  const { error } = await once('null.x');
  assert.deepEqual([error.line, error.column], [1, 6]);
});

for (const [what, code, message] of /** @type {[string, string, RegExp][]} */ ([
  ['text', 'throw "plain"', /^plain$/], ['undefined', 'throw undefined', /^undefined was thrown$/],
  ['a symbol', 'throw Symbol("s")', /^Symbol\(s\) was thrown$/], ['an object', 'throw { a: 1 }', /a: 1/],
  [
    'an error with hostile getters',
    'throw Object.defineProperties(new Error(""), { message: { get() { throw 1 } }, stack: { get() { throw 2 } }, '
      + 'name: { get() { throw 3 } }, code: { get() { throw 4 } } })', /./,
  ],
  [
    'a proxy that refuses everything',
    'throw new Proxy({}, { get() { throw 1 }, has() { throw 1 }, ownKeys() { throw 1 }, getPrototypeOf() { throw 1 } })', /./,
  ],
  ['an uncaught exception in a timer', 'await new Promise(() => setTimeout(() => { throw new Error("in a timer") }, 1))', /^in a timer$/],
  ['an unhandled rejection', 'Promise.reject(new Error("nobody listens")); return 1', /^nobody listens$/],
  ['an unhandled rejection without an error', 'Promise.reject(5)', /rejected with the reason "5"/],
])) test(`A step that throws ${what} fails with a clear error`, async () => {
  const worker = await Worker.start({ 'a.js': `if (event.fail) { ${code} }` });
  const result = await worker.run({ fail: true });
  assert.equal(result.end.status, 'failed');
  assert.match(result.error.message, message);
  await worker.stop();
});

test('An unhandled rejection fails the step that made it, not the next', async () => {
  const result = await once({ 'a.js': 'Promise.reject(new Error("mine"))', 'b.js': '' });
  assert.deepEqual(result.steps.map(step => [step.step, step.status]), [[0, 'failed']]);
});

test('process.exit fails the run with its record complete, and then exits', async () => {
  for (const [call, code] of /** @type {[string, number][]} */ ([['process.exit(3)', 3], ['process.abort()', 134]])) {
    const worker = await Worker.start(`this.x = 1; $send.http(${POST}); try { ${call} } catch {}`);
    const result = await worker.run();
    assert.equal(await worker.exited, code);
    assert.equal(result.sends.length, 1);
    assert.equal(result.error.code, 'SENDOFF_EXIT');
    assert.ok(result.error.message.startsWith(`${call} was called`));
    assert.deepEqual([result.error.line, result.end.status, result.end.tainted], [1, 'failed', true]);
    await worker.stop();
  }
});

test('A late send throws SENDOFF_RUN_ENDED and late output is dropped', async () => {
  const worker = await Worker.start({ 's.mjs': `
    let told; export const code = new Promise(resolve => told = resolve)
    globalThis.lateCode = code
    export default { run({ $ }) { setTimeout(() => { console.log("late");
    try { $.send.http(${POST}) } catch (e) { told(e.code) }
    try { $send.http(${POST}) } catch (e) { process.reallyExit(e.code === "SENDOFF_RUN_ENDED" ? 42 : 1) } }, 60) } }` });
  const result = await worker.run();
  assert.equal(result.end.tainted, true);
  assert.equal(await worker.exited, 42);
  assert.ok(!worker.frames.some(frame => frame.kind === 'send' || frame.kind === 'log'));
  await worker.stop();
});

test('A tainted worker gives back the runs that wait', async () => {
  const worker = await Worker.start('setTimeout(() => {}, 5000)');
  worker.post();
  worker.post();
  worker.post();
  await worker.next('revoked', frame => frame.runs.includes(3));
  worker.post();
  await worker.next('revoked', frame => frame.runs.includes(4));
  assert.deepEqual(worker.frames.filter(frame => frame.kind === 'revoked').flatMap(frame => frame.runs), [2, 3, 4]);
  await worker.stop();
});

test('Console output becomes log lines of its level', async () => {
  const result = await once(
    'console.log("a %s", "b", { c: [1] }); console.info("i"); console.warn("w"); console.error(new Error("e").message); '
      + 'console.debug("d"); console.dir({ x: 1 }); console.table([{ k: 1 }]); console.assert(false, "no"); '
      + 'process.stdout.write("out\\n"); process.stderr.write("err"); require("console").log("same"); console.group("g"); '
      + 'console.log("indented"); console.trace("t")');
  const lines = result.logs.map(log => [log.level, log.text]);
  assert.deepEqual(
    lines.slice(0, 6), [['log', "a b { c: [ 1 ] }"], ['info', 'i'], ['warn', 'w'], ['error', 'e'], ['debug', 'd'], ['log', '{ x: 1 }']]);
  assert.match(lines[6][1], /│ 0/);
  assert.deepEqual(
    lines.slice(7, 13),
    [['warn', 'Assertion failed: no'], ['log', 'out'], ['error', 'err'], ['log', 'same'], ['log', 'g'], ['log', '  indented']]);
  assert.match(lines[13][1], /Trace: t/);
  assert.ok(Math.abs(result.logs[0].at - Date.now()) < 60000);
});

test('Groups and counters do not reach the next run', async () => {
  const worker = await Worker.start('console.group("g"); console.count()');
  await worker.run();
  assert.deepEqual((await worker.run()).logs.map(log => log.text), ['g', '  default: 1']);
  await worker.stop();
});

test('What modules print while they load belongs to the first run', async () => {
  const worker = await Worker.start({ 's.mjs': 'console.log("loading"); export default { run() { console.log("running") } }' });
  assert.deepEqual((await worker.run()).logs.map(log => log.text), ['loading', 'running']);
  assert.deepEqual((await worker.run()).logs.map(log => log.text), ['running']);
  await worker.stop();
});

test('Output over the limit is dropped, and one line says so', async () => {
  const result = await once('for (let i = 0; i < 1000; i++) console.log("x".repeat(100))', {}, { limits: { logBytes: 1000 } });
  assert.equal(result.logs.length, 11);
  assert.match(result.logs[10].text, /over the limit of 1000 bytes .*the rest was dropped/);
});

test('A value over the limit fails the step and names the setting', async () => {
  assert.match(
    (await once('return "x".repeat(200)', {}, { limits: { valueBytes: 100 } })).error.message,
    /\$return_value has 202 bytes, over the limit of 100 \(setting Runs:MaxExportBytes\)/);
});

test('A step that replaces built-ins cannot touch the record, and its worker is not reused', async () => {
  const result = await once(`
    JSON.stringify = () => "broken"; JSON.parse = () => ({}); Array.prototype.push = () => 0; Array.prototype.join = () => "";
    String.prototype.split = () => []; String.prototype.slice = () => "";
    RegExp.prototype.exec = () => null; Promise.prototype.then = function () {}; Buffer.prototype.write = () => 0;
    Buffer.from = () => null; Object.keys = () => []; Object.prototype.hasOwnProperty = () => false;
    require("fs").writeSync = () => 0; Date.now = () => 0; String.prototype.indexOf = () => -1; Math.round = () => 7;
    setImmediate = () => {}; process.getActiveResourcesInfo = () => [];
    $send.http({ method: "POST", url: "https://u:p@a.example/?a=1", data: { n: 1 }, params: { b: [1] }, headers: { "X-A": "1" } });
    console.log("logged", 1); return { v: 1 }`);
  const [send] = result.sends;
  assert.deepEqual(
    [send.url, send.text, send.headers],
    ['https://a.example/?a=1&b[]=1', '{"n":1}', [['X-A', '1'], ['content-type', 'application/json'], ['authorization', 'Basic dTpw']]]);
  assert.deepEqual(result.logs.map(log => log.text), ['logged 1']);
  assert.deepEqual(result.value, { v: 1 });
  assert.deepEqual([result.end.status, result.end.tainted], ['succeeded', true]);
});

test('A toJSON on a prototype reaches the values of the user only', async () => {
  const result = await once(
    'Array.prototype.toJSON = Object.prototype.toJSON = () => "patched"; $send.http({ method: "GET", url: "https://a.example/", '
      + 'headers: { "x-a": 1 } }); throw new Error("mine")');
  assert.deepEqual(result.sends[0].headers, [['x-a', '1']]);
  assert.equal(result.error.message, 'mine');
});

test('A response is handed over with status, headers and body', async () => {
  const result = await once(
    'await $respond({ status: 201, headers: { "x-a": 1 }, body: { a: 1 }, immediate: true }); await $.respond({ body: "text" }); '
      + '$respond({ status: 204 }); $respond({ headers: { "content-type": "image/png" }, body: Buffer.from("bytes") })');
  assert.deepEqual(result.responses.map(({ status, headers, immediate, text }) => [status, headers, immediate, text]), [
    [201, [['x-a', '1'], ['content-type', 'application/json']], true, '{"a":1}'],
    [200, [['content-type', 'text/plain; charset=utf-8']], false, 'text'], [204, [], false, ''],
    [200, [['content-type', 'image/png']], false, 'bytes'],
  ]);
});

test('A response has a whole status from 200 to 599', async () => {
  const result = await once('for (const status of [199, 200, 200.5, "404", 599, 600, NaN, null]) await $respond({ status })');
  assert.deepEqual(result.responses.map(response => response.status), [200, 404, 599]);
  assert.deepEqual(result.warnings.map(warning => warning.code), Array(5).fill('response_not_sent'));
});

test('A response that cannot be sent is warned of', async () => {
  const result = await once(
    '$respond({ body: 5 }); $respond(); $respond({ status: 99 }); $respond({ status: 200, body: Promise.resolve() })');
  assert.equal(result.responses.length, 0);
  assert.deepEqual(result.warnings.map(({ code, line }) => [code, line]), Array(4).fill(['response_not_sent', 1]));
});

for (const types of [
  '"text/plain, text/html"', '["text/plain", "text/html"]', '"application/json,text/html"', '"html"',
  '"multipart/x-mixed-replace; boundary=a"',
]) {
  test(`A response whose content type is not one media type is not sent: ${types}`, async () => {
    const result = await once(`$respond({ headers: { "Content-Type": ${types} }, body: "x" })`);
    assert.equal(result.responses.length, 0);
    assert.deepEqual(result.warnings.map(({ code, line }) => [code, line]), [['response_not_sent', 1]]);
    assert.match(result.warnings[0].message, /is not one media type/);
  });
}

for (const [what, code, message] of /** @type {[string, string, RegExp][]} */ ([
  ['fetch', 'await fetch("http://127.0.0.1:1/")', /^fetch failed: (?:connect ECONNREFUSED 127\.0\.0\.1:1|bad port)$/],
  ['a cause', 'throw new Error("outer", { cause: new Error("inner") })', /^outer: inner$/],
  ['a chain of causes', 'throw new Error("a", { cause: new Error("b", { cause: "c" }) })', /^a: b: c$/],
  ['a cause that the message repeats', 'throw new Error("failed: inner", { cause: new Error("inner") })', /^failed: inner$/],
  [
    'a cause without a message', 'throw new Error("a", { cause: Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }) })',
    /^a: ECONNREFUSED$/,
  ],
  ['a cause that is an object', 'throw new Error("a", { cause: { status: 7 } })', /^a: .*status: 7/],
  [
    'an AggregateError', 'await Promise.any([Promise.reject(new Error("first reason")), Promise.reject(new Error("second reason"))])',
    /^All promises were rejected: first reason; second reason$/,
  ],
  ['errors that are data', 'throw Object.assign(new Error("invalid"), { errors: [{ path: "x" }] })', /^invalid$/],
  ['a cause that is itself', 'const e = new Error("loop"); e.cause = new Error("other", { cause: e }); throw e', /^loop: other/],
  ['a cause with hostile getters', 'throw new Error("a", { cause: new Proxy({}, { get() { throw 1 } }) })', /^a/],
])) test(`An error of ${what} is recorded with its reasons`, async () => {
  const { error, end } = await once(code);
  assert.equal(end.status, 'failed');
  assert.match(error.message, message);
  assert.ok(error.message.length < 1000);
});

test('The stack of a cause is recorded, and gives the line where the error itself has none', async () => {
  const { error } = await once(
    'const inner = new Error("inner");\nconst outer = new Error("outer", { cause: inner });\nouter.stack = "Error: outer";\nthrow outer');
  assert.match(error.stack, /^Error: outer\n {2}\[cause\]: Error: inner\n {6}at .*step\.js:1:15/);
  assert.deepEqual([error.line, error.column], [1, 15]);
});

test('A string that answers a request has a content type with its charset', async () => {
  const result = await once(
    '$respond({ body: "Grüße ✓" }); $respond({ body: "{\\"a\\":1}" }); $respond({ body: "[1]" }); $respond({ body: "{no" }); '
      + '$respond({ body: "<p>", headers: { "Content-Type": "text/html" } }); $respond({ body: "" })');
  const [text, json] = ['text/plain; charset=utf-8', 'application/json; charset=utf-8'];
  assert.deepEqual(
    result.responses.map(each => each.headers.map((/** @type {string[]} */ line) => line[1])),
    [[text], [json], [json], [text], ['text/html; charset=utf-8'], []]);
});

test('A header that a response cannot carry is warned of, and is not in the record', async () => {
  const result = await once(
    '$respond({ headers: { "x-name": "Grüße", "x-ok": "1", "Service-Worker-Allowed": "/", "Connection": "close", "Clear-Site-Data": "*", '
      + '"set-cookie": ["sendoff_session=1", "cart=7"] }, body: "a" })');
  assert.deepEqual(result.responses[0].headers, [['x-ok', '1'], ['set-cookie', 'cart=7'], ['content-type', 'text/plain; charset=utf-8']]);
  assert.deepEqual(
    result.warnings.map(each => [each.code, /x-name|Service-Worker-Allowed|Connection|Clear-Site-Data|set-cookie/.exec(each.message)?.[0]])
      .sort(), ['Clear-Site-Data', 'Connection', 'Service-Worker-Allowed', 'set-cookie', 'x-name'].map(name => ['ignored_header', name]));
});

