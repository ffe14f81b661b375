// @ts-check
// $.flow: rule B3.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

const component = (/** @type {string} */ body) => `export default defineComponent({ async run({ steps, $ }) { ${body} } })`;

test('A step that holds its run ends it with what was asked, and gets addresses at once', async () => {
  const result = await once(
    'const urls = $.flow.suspend(); return { ...urls, all: $.context.run }', {},
    { flow: { origin: 'https://s.example', key: Buffer.from('key').toString('base64') } });
  assert.deepEqual(result.end.hold, { kind: 'suspend', step: 0, ms: 86400000, runs: 1 });
  assert.match(result.value.resume_url, /^https:\/\/s\.example\/resume\/[^/]+\/[\w-]{22}$/);
  assert.match(result.value.cancel_url, /^https:\/\/s\.example\/cancel\//);
  assert.notEqual(result.value.resume_url.split('/').at(-1), result.value.cancel_url.split('/').at(-1));
  assert.deepEqual(result.value.all, { runs: 1 });
});

test('The steps after a held one do not run, and the last call counts', async () => {
  const worker = await Worker.start(
    { 'a.mjs': component('$.flow.suspend(5); $.flow.delay(1000, { n: 1 })'), 'b.mjs': component('return 1') });
  const { frames, end } = await worker.run();
  assert.deepEqual(frames.filter(frame => frame.kind === 'stepEnd').map(frame => frame.step), [0]);
  assert.deepEqual(end.hold, { kind: 'delay', step: 0, ms: 1000, runs: 1, context: { n: 1 } });
});

test('A run goes on from its step with what the earlier ones exported, and counts sends on', async () => {
  const worker = await Worker.start(
    {
      'a.mjs': component('return 1'),
      'b.mjs': component(
        '$.send.http({ method: "GET", url: "https://a.example/" }); return [steps.a, $.context.run, $.context.trace_id, '
          + 'steps.trigger.event]'),
    });
  const { frames, sends, end } = await worker.run(
    { n: 1 }, { resume: {
      from: 1, runs: 3, sends: 2, trace: 'run_first', context: { c: 1 }, callback: { body: 'go' }, exports: [{ $return_value: 7 }],
    } });
  assert.deepEqual(
    frames.find(frame => frame.kind === 'stepEnd').exports.$return_value,
    [{ $return_value: 7 }, { runs: 3, context: { c: 1 }, callback_request: { body: 'go' } }, 'run_first', { n: 1 }]);
  assert.equal(sends[0].index, 2);
  assert.equal(end.hold, undefined);
});

test('What a resumed step has started and sent before counts for that step only', async () => {
  const send = '$.send.http({ method: "GET", url: "https://a.example/" }); return $.context.run.runs';
  const worker = await Worker.start({ 'a.mjs': component(send), 'b.mjs': component(send) });
  const { sends, steps } = await worker.run({}, { resume: { from: 0, runs: 3, sends: 2, trace: 'run_first', exports: [] } });
  assert.deepEqual(steps.map(step => step.exports.$return_value), [3, 1]);
  assert.deepEqual(sends.map(send => [send.step, send.index]), [[0, 2], [1, 0]]);
});

test('A rerun asks for the same step, and goes on when it has been run often enough', async () => {
  const worker = await Worker.start({ 'a.mjs': component('$.flow.rerun(10, null, 2)'), 'b.mjs': component('return 1') });
  const resume = { from: 0, sends: 0, trace: 'run_first', exports: [] };
  assert.deepEqual((await worker.run()).end.hold, { kind: 'rerun', step: 0, ms: 10, runs: 2 });
  assert.deepEqual((await worker.run({}, { resume: { ...resume, runs: 2 } })).end.hold, { kind: 'rerun', step: 0, ms: 10, runs: 3 });
  const last = await worker.run({}, { resume: { ...resume, runs: 3 } });
  assert.equal(last.end.hold, undefined);
  assert.deepEqual(last.frames.filter(frame => frame.kind === 'stepEnd').map(frame => frame.step), [0, 1]);
});

test('A step that fails or exits holds nothing', async () => {
  assert.equal((await once('$.flow.suspend(); throw new Error("no")')).end.hold, undefined);
  assert.equal((await once('$.flow.suspend(); $.flow.exit()')).end.hold, undefined);
});

for (const [call, says] of [
  ['delay()', 'undefined for ms'], ['delay(0)', '0 for ms'], ['delay(-1)', '-1 for ms'], ['suspend("x")', 'x for ms'],
  ['delay(31536000001)', 'for ms'], ['rerun(1, null, -1)', '-1 for maxRetries'], ['delay(1, () => 1)', 'for context'],
  ['delay(1, 1n)', 'for context'],
])
  test(`$.flow.${call} is refused at its line`, async () => {
    const { error } = await once(`\n$.flow.${call}`);
    assert.equal(error.code, 'SENDOFF_INVALID_FLOW');
    assert.ok(error.message.includes(says), error.message);
    assert.equal(error.line, 2);
  });
