// @ts-check
// E9: every step starts with the globals that the modules left; what a step does to them ends with it.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Worker, once } from './support.mjs';

const POST = '{ method: "POST", url: "https://a.example/", data: "sent" }';

/** What a step finds. It is run before, in the same run after, and in the next run after what the ways do. */
const PROBE = `
  const own = Reflect.ownKeys(globalThis).map(String).sort(), prototype = Object.getPrototypeOf(globalThis);
  const kindOf = value => typeof value === 'function' ? value.toString().length : typeof value;
  const values = own.filter(name => !/^(NaN$|Symbol.)/.test(name))
    .map(name => [name, Object.getOwnPropertyDescriptor(globalThis, name)])
    .map(([name, d]) => name + (d.get ? 'g' : 'v') + d.writable + d.enumerable + d.configurable + kindOf(d.get ?? d.value));
  console.log('logged');
  process.stdout.write('written');
  process.stderr.write('written');
  $send.http(${POST});
  await $respond({ status: 201 });
  let ended = '';
  try { $end('x') } catch (error) { ended = error.code }
  const replaced = [fetch, setTimeout, setInterval, URL, structuredClone, process.exit, process.emit, process.nextTick, console.log,
  console.error].map(value => value.toString().length);
  return [own, values, Reflect.ownKeys(prototype), prototype.constructor === Object, replaced, ended, { ...process.env }, process.env.NAME,
  process.cwd(), process.eventNames().map(name => [name, process.listenerCount(name)]).sort(),
    typeof leak, typeof $event, typeof require('fs').readFileSync, typeof defineComponent, typeof ConfigurationError, typeof $.files,
    typeof crypto.subtle, typeof navigator, process.hasUncaughtExceptionCaptureCallback()];`;

/** @type {Record<string, string>} by what they do; those with a worker that is not reused are listed below */
const WAYS = {
  'assigns an undeclared variable': 'leak = event.who',
  'assigns to globalThis': 'globalThis.leak = event.who; global.leak2 = 1; globalThis[7] = 7',
  'assigns to the this of a plain function': '(function () { this.leak = event.who })()',
  'declares a variable by an indirect eval': '(0, eval)("var leak = 1; function leaked() {}")',
  'assigns several at once': 'Object.assign(globalThis, { leak: event.who, fetch: 5, $send: null })',
  'defines a hidden property': 'Object.defineProperty(globalThis, "leak", { value: event.who, configurable: true })',
  'defines hidden properties': 'Object.defineProperties(globalThis, { leak: { value: event.who, configurable: true } })',
  'defines one by Reflect': 'Reflect.defineProperty(globalThis, "leak", { value: event.who, configurable: true })',
  'defines a getter': 'globalThis.__defineGetter__("leak", () => event.who)',
  'assigns a symbol': 'globalThis[Symbol.for("leak")] = event.who',
  'defines a hidden symbol': 'Object.defineProperty(globalThis, Symbol.for("leak"), { value: event.who, configurable: true })',
  'adds to the prototype of globalThis': 'Object.getPrototypeOf(globalThis).leak = event.who',
  'hides something in the prototype of globalThis': 'Object.defineProperty(Object.getPrototypeOf(globalThis), "leak", { value: 1, '
    + 'configurable: true })',
  'replaces the prototype of globalThis': 'Object.setPrototypeOf(globalThis, { __proto__: Object.prototype, leak: event.who })',
  'replaces a global function': 'fetch = () => event.who; setTimeout = null; globalThis.URL = class {}',
  'deletes global functions': 'delete globalThis.fetch; delete globalThis.structuredClone; delete globalThis.process',
  'redefines a global function': 'Object.defineProperty(globalThis, "fetch", { get() { return event.who }, configurable: true })',
  'hides a global function from enumeration': 'Object.defineProperty(globalThis, "fetch", { enumerable: false })',
  'replaces what a getter gives': 'globalThis.crypto = {}; globalThis.navigator = { userAgent: event.who }; globalThis.performance = null',
  'assigns to a symbol of Node.js': 'globalThis[Symbol.for("undici.globalDispatcher.1")] = { dispatch() {} }',
  'assigns to $send': 'globalThis.$send = { http: () => 3 }; if (globalThis.$send.http() !== 3) throw 1',
  'assigns to $ as to a variable of its own': '$ = event => event.who; if ($({ who: 3 }) !== 3) throw 1',
  'assigns to everything of Sendoff': '$respond = $end = $event = $attachments = require = defineComponent = ConfigurationError = null',
  'deletes $send': 'delete $send; delete globalThis.$send; delete globalThis.$; delete globalThis.$end',
  'deletes $send in strict mode': '(function () { "use strict"; try { delete globalThis.$send } catch {} })()',
  'redefines $send': 'for (const name of ["$send", "$", "$respond", "$end", "require"]) try { Object.defineProperty(globalThis, name, '
    + '{ value: { http() {} } }) } catch {}',
  'adds to a function of Sendoff': 'defineComponent.leak = 1; ConfigurationError.leak = 1',
  'replaces methods of console': 'console.log = console.error = () => {}; console.table = null',
  'deletes a method of console': 'delete console.log; delete console.warn',
  'replaces console': 'console = { log() {} }',
  'captures the output': 'process.stdout.write = process.stderr.write = () => true',
  'replaces functions of process': 'process.exit = process.emit = process.nextTick = () => {}',
  'sets variables': 'process.env.LEFT = event.who; process.env.NAME = "other"; Object.assign(process.env, { MORE: 1 }); '
    + 'Object.defineProperty(process.env, "DEFINED", { value: "1", writable: true, enumerable: true, configurable: true })',
  'sets the time zone': 'process.env.TZ = "Asia/Tokyo"; new Date().getHours()',
  'deletes variables': 'delete process.env.NAME',
  'replaces the environment': 'process.env = { LEFT: event.who }',
  'changes the folder': 'process.chdir("/")',
  'listens to rejections': 'process.on("unhandledRejection", () => {}); process.once("warning", () => {})',
  'listens before others and to listeners': 'process.prependListener("warning", () => {}); process.on("newListener", () => { leak = 1 }); '
    + 'process.on("removeListener", () => { leak = 1 })',
  'listens to a signal': 'process.on("SIGUSR2", () => {}); process.on(Symbol.for("mine"), () => {})',
  'removes all listeners': 'process.removeAllListeners()',
  'resets the callback for uncaught exceptions': 'process.setUncaughtExceptionCaptureCallback(null); '
    + 'try { process.setUncaughtExceptionCaptureCallback(() => {}) } catch {}',
  'leaves a timer that is not waited for': 'setTimeout(() => { globalThis.$send = { http() {} } }, 1).unref()',
  'throws after it': 'leak = event.who; process.env.LEFT = "1"; throw new Error("after it")',
};

/** What cannot be undone: the server replaces the worker. @type {Record<string, string>} */
const BEYOND = {
  'defines a fixed property': 'Object.defineProperty(globalThis, "leak", { value: event.who })',
  'fixes a global function': 'Object.defineProperty(globalThis, "fetch", { value: 1, configurable: false, writable: false })',
  'fixes a method of console': 'Object.defineProperty(console, "log", { value() {}, configurable: false })',
  'freezes globalThis': 'Object.freeze(globalThis)',
  'seals globalThis': 'Object.seal(globalThis)',
  'declares in a script': 'require("vm").runInThisContext("let leak = 1")',
  'declares in a script that was compiled': 'new (require("vm").Script)("const leak = 1").runInThisContext()',
  'replaces AsyncLocalStorage': 'const { AsyncLocalStorage } = require("async_hooks"); AsyncLocalStorage.prototype.getStore = () => '
    + 'undefined; AsyncLocalStorage.prototype.run = (_, f, ...args) => f(...args)',
  'replaces the client of Node.js': 'require("http").request = () => null',
  'replaces functions that all code uses': 'Array.prototype[Symbol.iterator] = Map.prototype.has = Array.prototype.includes = () => false; '
    + 'Object.prototype.get = () => 1; leak = 1',
};

/** The first step does what the event says. */
const PROGRAM = { 'a.js': 'if (event.way === "") return; await Object.getPrototypeOf(async function () {}).constructor("event", "require", '
  + '"$send", event.way)(event, require, $send)', 'b.js': PROBE };
const told = (/** @type {any} */ result) =>
  ({
    value: result.step.step === 1 ? result.value : 'failed', sends: result.sends.length,
    logs: result.logs.map((/** @type {any} */ log) => log.text), responses: result.responses.map((/** @type {any} */ each) => each.status),
  });

test('Whatever a step does to globals, the next step and the next run find them as they were', async () => {
  const worker = await Worker.start(PROGRAM);
  const before = told(await worker.run({ way: '', who: 'first' }));
  assert.equal(before.sends, 1);
  for (const [what, way] of Object.entries(WAYS)) {
    const during = await worker.run({ way, who: 'second' });
    assert.equal(during.end.tainted, false, what);
    if (what === 'throws after it') assert.equal(during.error.message, 'after it');
    else {
      assert.equal(during.error, undefined, what);
      assert.deepEqual(told(during), before, what);
    }
    assert.deepEqual(told(await worker.run({ way: '', who: 'third' })), before, what);
  }
  await worker.stop();
});

for (const [what, way] of Object.entries(BEYOND)) {
  test(`After a step that ${what}, the worker is not reused, and the run has its sends`, async () => {
    const worker = await Worker.start(
      {
        'a.js': `${way}; $send.http(${POST}); $.send.http(${POST})`, 'b.js': `$send.http(${POST})`,
        'c.mjs': `export default { run({ $ }) { $.send.http(${POST}); $send.http(${POST}) } }`,
      });
    const result = await worker.run({ who: 'second' });
    assert.deepEqual([result.end.status, result.end.tainted, result.sends.length], ['succeeded', true, 5]);
    await worker.stop();
  });
}

test('After a step that changes a class of fetch, the worker is not reused', async () => {
  const { end } = await once('Object.getPrototypeOf((await fetch("data:,a")).headers).forEach = () => {}');
  assert.equal(end.tainted, true);
});

test('A dispatcher of fetch that a step sets is gone in the next run', async () => {
  const worker = await Worker.start(`
    if (event.set) { await fetch("data:,a"); globalThis[Symbol.for("undici.globalDispatcher.1")] = { dispatch() {}, mine: true } }
    return globalThis[Symbol.for("undici.globalDispatcher.1")]?.mine === true`);
  assert.deepEqual([(await worker.run({ set: true })).value, (await worker.run()).value], [true, false]);
  await worker.stop();
});

test('A polyfill that a module lays over a class of fetch stays', async () => {
  const { value } = await once(
    {
      'lib/polyfill.cjs': 'globalThis.Headers = class Mine {}',
      'a.mjs': 'import "./lib/polyfill.cjs"; export default { async run() { await fetch("data:,a"); return [Headers.name, '
        + 'Response.name] } }',
    }, {}, { steps: [{ name: 'a', file: 'a.mjs' }] });
  assert.deepEqual(value, ['Mine', 'Response']);
});

test('After any sequence of such steps, a run finds the globals as they were', async () => {
  const ways = Object.entries(WAYS).filter(([what]) => what !== 'throws after it').map(([, way]) => way);
  let seed = 20260727;
  const random = (/** @type {number} */ below) => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) % below;
  const worker = await Worker.start(PROGRAM);
  const before = told(await worker.run({ way: '' }));
  for (let i = 0; i < 40; i++) {
    const way = Array.from({ length: 1 + random(4) }, () => `{ ${ways[random(ways.length)]} }`).join('\n');
    const result = await worker.run({ way, who: 'x' });
    // One way may break the next one; what matters is what is left.
    if (result.end.status === 'succeeded') assert.deepEqual(told(result), before, way);
    assert.equal(result.end.tainted, false, way);
    assert.deepEqual(told(await worker.run({ way: '' })), before, way);
  }
  await worker.stop();
});

test('In an arrow function that was pasted, this is the step, as in other steps', async () => {
  for (const head of ['async (event, steps) =>', 'async function (event, steps)', '(event) =>', 'event =>']) {
    const worker = await Worker.start(
      { 'pick.js': `${head} {\n  if (event.user) this.user = event.user;\n  if (!this.user) this.user = "nobody";\n`
          + `  (() => { this.inner = 1 })();\n}`,
        'greet.js': 'return [steps.pick.user, typeof user]' });
    const first = await worker.run({ user: 'alice' });
    assert.deepEqual(
      [first.value, first.steps[0].exports, first.end.tainted], [['alice', 'undefined'], { user: 'alice', inner: 1 }, false], head);
    assert.deepEqual((await worker.run({})).value, ['nobody', 'undefined'], head);
    await worker.stop();
  }
});

test('An error in an arrow function that was pasted has its line and column', async () => {
  const { error } = await once('// a comment\nasync (event, steps) => {\n  null.x\n}');
  assert.deepEqual([error.line, error.column], [3, 8]);
});

test('A step sees what it assigned itself, also later and in its callbacks', async () => {
  const result = await once(
    '$ = 5; leak = 1; process.env.MINE = "x"; await null; await new Promise(r => setTimeout(r, 1)); return [$, leak, process.env.MINE]');
  assert.deepEqual([result.value, result.end.tainted], [[5, 1, 'x'], false]);
});

test('What modules do to globals while they are loaded stays', async () => {
  const worker = await Worker.start(
    {
      'lib/polyfill.cjs': 'globalThis.polyfill = 1; process.env.FROM_FILE = "2"; process.on("warning", () => {}); module.exports = {}',
      'a.mjs': 'import "./lib/polyfill.cjs"; globalThis.counter = { n: 0 }; export default { run() { return [polyfill, '
        + 'process.env.FROM_FILE, ++counter.n] } }',
    }, { steps: [{ name: 'a', file: 'a.mjs' }] });
  assert.deepEqual((await worker.run()).value, [1, '2', 1]);
  assert.deepEqual((await worker.run()).value, [1, '2', 2]); // a module's object is its state
  await worker.stop();
});

test('What a module does while a step requires it stays, and what the step did does not', async () => {
  const files = {
    'lib/polyfill.cjs': 'globalThis.polyfill = 1; process.env.FROM_FILE = "2"; process.on("warning", () => {})',
    'a.js': 'require("./lib/polyfill.cjs"); leak = 1; return [polyfill, process.env.FROM_FILE, process.listenerCount("warning") > 0]',
    'b.js': 'require("./lib/polyfill.cjs"); return [polyfill, process.env.FROM_FILE, typeof leak]',
  };
  const worker = await Worker.start(files, { steps: ['a', 'b'].map(name => ({ name, file: `${name}.js` })) });
  for (let i = 0; i < 3; i++) {
    const result = await worker.run();
    assert.deepEqual(
      [result.steps[0].exports.$return_value, result.value, result.end.tainted], [[1, '2', true], [1, '2', 'undefined'], false]);
  }
  await worker.stop();
});

test('Where the step and a module that it loads both changed globals, the run keeps them and the worker is not reused', async () => {
  const files = {
    'lib/polyfill.cjs': 'globalThis.polyfill = 1', 'a.js': 'leak = 1; require("./lib/polyfill.cjs")',
    'b.js': 'require("./lib/polyfill.cjs"); return polyfill',
  };
  const { value, end } = await once(files, {}, { steps: ['a', 'b'].map(name => ({ name, file: `${name}.js` })) });
  assert.deepEqual([value, end.tainted], [1, true]);
});

const tellsOfImports = Number(process.versions.node.split('.')[0]) >= 22;
test('What a module does while a step imports it stays for the run, and the worker is not reused',
  { skip: tellsOfImports ? false : 'Node.js tells of imports from 22 on' }, async () => {
  const files = {
    'lib/polyfill.mjs': 'globalThis.polyfill = 1', 'a.js': 'await import("./lib/polyfill.mjs"); return polyfill',
    'b.js': 'await import("./lib/polyfill.mjs"); return polyfill',
  };
  const { value, end, steps } = await once(files, {}, { steps: ['a', 'b'].map(name => ({ name, file: `${name}.js` })) });
  assert.deepEqual([steps[0].exports.$return_value, value, end.tainted], [1, 1, true]);
});

test('What a module assigns to a name of Sendoff while it is loaded is for its own step', async () => {
  const worker = await Worker.start(
    {
      'a.mjs': `globalThis.$send = { http: () => "of the module" }; export default { run() { return $send.http() } }`,
      'b.mjs': `export default { run() { $send.http(${POST}) } }`,
    });
  for (let i = 0; i < 2; i++) {
    const result = await worker.run();
    assert.deepEqual(
      [result.steps[0].exports.$return_value, result.sends.map((/** @type {any} */ send) => send.step)], ['of the module', [1]]);
  }
  await worker.stop();
});
