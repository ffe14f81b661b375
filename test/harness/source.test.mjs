// @ts-check
// Event sources (K): $emit, hooks, and $.service.db.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

/** @param {string} members of the component */
const source = members => ({ 's.mjs': `export default { ${members} };` });
/** @param {any} [props] @param {object} [workflow] */
const options = (props, workflow) => ({ steps: [{ name: 's', file: 's.mjs', source: true, props }], workflow });

test('A source says what it is when it is loaded', async () => {
  const worker = await Worker.start(source(`
    dedupe: "unique", hooks: { async deploy() {}, async activate() {}, other() {} },
    props: { db: "$.service.db", http: { type: "$.interface.http", customResponse: true },
      timer: { type: "$.interface.timer", default: { intervalSeconds: 60 } } },
    async run() {}`), options({ timer: { cron: '0 9 * * *' } }));
  assert.deepEqual(worker.loaded.steps[0].source,
    { dedupe: 'unique', hooks: ['deploy', 'activate'], http: { customResponse: true }, timer: { cron: '0 9 * * *' } });
  assert.deepEqual(worker.loaded.problems, []);
});

test('What is no source is a problem of its file', async () => {
  const worker = await Worker.start({ 's.mjs': 'export default 1;' }, options());
  assert.match(worker.loaded.problems[0].message, /the module has no event source/);
});

test('An emitted event has its id, summary and time', async () => {
  const result = await once(source(`async run(event) {
    this.$emit({ n: event.n }, { id: 7, summary: "seven", ts: 5 });
    this.$emit("text");
    try { this.$emit(() => {}) } catch (error) { return error.message }
  }`), { n: 1 }, options());
  assert.deepEqual(result.sends.map(({ method, url }) => `${method} ${url}`), ['SEND source:s', 'SEND source:s']);
  assert.deepEqual(JSON.parse(result.sends[0].text), { event: { n: 1 }, id: 7, summary: 'seven', ts: 5 });
  assert.deepEqual(Object.keys(JSON.parse(result.sends[1].text)), ['event', 'ts']);
  assert.match(result.value, /^\$emit: invalid value .* for event/);
});

test('A hook is called with the props and methods of its source', async () => {
  const worker = await Worker.start(source(`
    props: { http: "$.interface.http", path: "string" },
    methods: { url() { return this.http.endpoint + this.path } },
    hooks: { async activate() { return this.url() } },
    async run() { return "run" }`), options({ path: '/x' }, { endpoint: 'https://example.com/hooks/k' }));
  assert.equal((await worker.run({}, { hook: 'activate' })).value, 'https://example.com/hooks/k/x');
  assert.equal((await worker.run({})).value, 'run');
});

test('$.service.db reads what is stored and reports each change before the call returns', async () => {
  const worker = await Worker.start(source(`
    props: { db: "$.service.db" },
    async run() {
      this.db.set("n", this.db.get("n") + 1);
      this.db.set("gone");
      return [this.db.get("n"), this.db.get("gone"), this.db.get("c")];
    }`), options());
  worker.kept = new Map([[' n', 1], [' gone', true], [' c', { x: 1 }]]);
  const result = await worker.run();
  assert.deepEqual(result.value, [2, null, { x: 1 }]);
  assert.deepEqual(
    result.frames.filter(frame => frame.kind === 'keep').map(({ key, value }) => [key, value]), [['n', 2], ['gone', undefined]]);
  assert.deepEqual(result.warnings, []);
});

test('What $.service.db cannot take fails where it was set, and changes nothing', async () => {
  const result = await once(source(`
    props: { db: "$.service.db" },
    async run() {
      try { this.db.set("a", "x".repeat(70_000)) } catch (error) { return [error.code, this.db.get("a")] }
    }`), {}, options());
  assert.deepEqual(result.value, ['SENDOFF_CHECKPOINT_TOO_LARGE', null]);
  assert.deepEqual(result.frames.filter(frame => frame.kind === 'keep'), []);
});
