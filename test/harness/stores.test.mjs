// @ts-check
// What steps keep between runs: data stores, $.service.db, $checkpoint (E9).
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

/** @param {string} body @param {string} [props] */
const component = (body, props = 'data: { type: "data_store" }') =>
  ({ 's.mjs': `export default defineComponent({ props: { ${props} }, async run({ steps, $ }) { ${body} } })` });
/** @param {any} [props] */
const named = props => ({ steps: [{ name: 's', file: 's.mjs', props }] });

test('A data store gets, sets, lists and deletes', async () => {
  const result = await once(component(`
    await this.data.set("b", { n: 1 }); await this.data.set("a", [2]); await this.data.set("c", null, { ttl: 60 });
    const all = []; for await (const [key, value] of this.data) all.push([key, value]);
    return { all, missing: typeof await this.data.get("none"), b: await this.data.get("b"), has: await this.data.has("a"),
    gone: await this.data.delete("a"),
      keys: await this.data.keys(), values: await this.data.values(), entries: await this.data.entries() };`), {},
      named({ data: { storeId: 'ds_1' } }));
  assert.deepEqual(result.value, {
    all: [['a', [2]], ['b', { n: 1 }], ['c', null]], missing: 'undefined', b: { n: 1 }, has: true, gone: true,
    keys: ['b', 'c'], values: [{ n: 1 }, null], entries: [['b', { n: 1 }], ['c', null]],
  });
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(
    result.frames.find(frame => frame.kind === 'call' && frame.args.key === 'c').args, { store: 'ds_1', key: 'c', value: null, ttl: 60 });
  assert.deepEqual(result.step.inputs, { data: { storeId: 'ds_1' } });
});

test('A store is named by its id, by its name, or is the workflow\'s own', async () => {
  for (const [props, store] of /** @type {[any, string][]} */ (
    [[{ data: { storeId: 'ds_1' } }, 'ds_1'], [{ data: 'orders' }, 'orders'], [undefined, 'flow-data']])) {
    const result = await once(component('await this.data.get("a")'), {}, named(props));
    assert.equal(result.frames.find(frame => frame.kind === 'call').args.store, store);
  }
});

test('What a store cannot take fails the step where it called', async () => {
  for (const [body, code, message] of /** @type {[string, string, RegExp][]} */ ([
    ['await this.data.set("a")', 'SENDOFF_STORE_VALUE', /the value of a has no JSON form/],
    ['await this.data.set("a", Promise.resolve(1))', 'SENDOFF_STORE_VALUE', /await it first/],
    ['await this.data.get({})', 'SENDOFF_STORE_KEY', /a text, not object/],
    ['await this.data.size()', 'SENDOFF_NO', /no size/],
  ])) {
    const { error } = await once(component(`\n  ${body}`), {}, named());
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.equal(error.line, 2);
  }
});

test('A refused call can be caught', async () => {
  const result = await once(component('try { await this.data.size() } catch (e) { return e.code }'), {}, named());
  assert.equal(result.value, 'SENDOFF_NO');
});

test('A call that is not awaited is carried out before the step ends, with a warning', async () => {
  const worker = await Worker.start({ ...component('this.data.set("a", 1).then(() => this.data.set("b", 2)); return 1'), }, named());
  const { kept } = worker;
  worker.kept = null;
  worker.post();
  const first = await worker.next('call');
  await worker.next('warning');
  worker.answer(first, /** @type {any} */ (kept));
  worker.kept = kept;
  const end = await worker.next('runEnd');
  const result = worker.of(1, end);
  assert.deepEqual(result.warnings.map(warning => warning.code), ['unfinished_work']);
  assert.deepEqual([...kept ?? []], [['flow-data a', 1], ['flow-data b', 2]]);
  assert.equal(end.tainted, false);
  assert.equal(result.frames.at(-2).kind, 'stepEnd');
});

test('A call that is not awaited and refused fails the step', async () => {
  const result = await once(component('this.data.size(); return 1'), {}, named());
  assert.equal(result.error.code, 'SENDOFF_NO');
});

test('At most 64 calls wait for their answers, and all of 1,000 are answered', async () => {
  const worker = await Worker.start(
    component('await Promise.all(Array.from({ length: 1000 }, (_, i) => this.data.set(`k${i}`, i))); return 1'), named());
  const { kept } = worker;
  worker.kept = null;
  const run = worker.run();
  await worker.next('call', frame => frame.args.key === 'k63');
  worker.send(3, { runs: [99] }); // whatever it answers to this, it has written before
  await worker.next('revoked');
  const asked = worker.frames.filter(frame => frame.kind === 'call');
  assert.equal(asked.length, 64);
  worker.kept = kept;
  for (const call of asked) worker.answer(call, /** @type {any} */ (kept));
  assert.equal((await run).value, 1);
  assert.equal(kept?.size, 1000);
});

test('A store that is used after its run fails where it is used', async () => {
  const worker = await Worker.start(
    { 's.mjs': 'let old; export default { props: { data: { type: "data_store" } }, async run() { const before = old; old = this.data; '
      + 'if (before) return before.get("a").catch(e => e.code); } }' }, named());
  await worker.run();
  assert.equal((await worker.run()).value, 'SENDOFF_RUN_ENDED');
});

test('$.service.db is there at once and is kept', async () => {
  const worker = await Worker.start(
    component('const n = this.db.get("n") ?? 0; this.db.set("n", n + 1); return n', 'db: "$.service.db"'), named());
  assert.deepEqual([(await worker.run()).value, (await worker.run()).value], [0, 1]);
  assert.deepEqual([...worker.kept ?? []], [[' db:s', { n: 2 }]]);
});

test('$.service.db that does not change is not written', async () => {
  const worker = await Worker.start(component('return this.db.get("n")', 'db: { type: "$.service.db" }'), named());
  const result = await worker.run();
  assert.deepEqual(result.frames.filter(frame => frame.kind === 'call').map(call => call.method), ['get']);
});

test('$checkpoint is shared by steps and kept, this.$checkpoint is a step\'s own', async () => {
  const body = '$checkpoint = ($checkpoint ?? 0) + 1; this.$checkpoint = (this.$checkpoint ?? 10) + 1; return [$checkpoint, '
    + 'this.$checkpoint]';
  const worker = await Worker.start({ 'a.js': body, 'b.js': body });
  const values = async () => (await worker.run()).steps.map(step => step.exports);
  assert.deepEqual(await values(), [{ $return_value: [1, 11] }, { $return_value: [2, 11] }]);
  assert.deepEqual(await values(), [{ $return_value: [3, 12] }, { $return_value: [4, 12] }]);
});

test('$checkpoint of a step that fails is kept too, and undefined removes it', async () => {
  const worker = await Worker.start('$checkpoint = event.to; if (event.fail) throw new Error("no")');
  await worker.run({ to: 5, fail: true });
  assert.equal(worker.kept?.get(' checkpoint'), 5);
  await worker.run({});
  assert.equal(worker.kept?.size, 0);
});

test('A checkpoint over 64 KiB fails the step and stays as it was', async () => {
  const result = await once('$checkpoint = "x".repeat(65536)');
  assert.equal(result.error.code, 'SENDOFF_CHECKPOINT_TOO_LARGE');
  assert.deepEqual(result.frames.filter(frame => frame.kind === 'call' && frame.method !== 'get'), []);
});

test('A step that keeps nothing asks nothing', async () => {
  assert.deepEqual((await once('return 1')).frames.filter(frame => frame.kind === 'call'), []);
});
