// @ts-check
// Frames of the worker protocol, in and out: docs/worker-protocol.md.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { FrameWriter, frameReader } from '../../src/Sendoff.Engine/Workers/Harness/frames.mjs';

/** @param {number} kind @param {any} payload */
function frame(kind, payload) {
  const body = Buffer.from(JSON.stringify(payload)), head = Buffer.alloc(5);
  head.writeUInt32LE(body.length + 1);
  head[4] = kind;
  return Buffer.concat([head, body]);
}

/** @param {Buffer[]} chunks what is read of each, one after the other */
function read(chunks) {
  /** @type {[number, any][][]} */ const all = [];
  const reader = frameReader((kind, payload) => { all[all.length - 1].push([kind, payload]); });
  for (const chunk of chunks) {
    all.push([]);
    reader(chunk);
  }
  return all;
}

test('A frame is taken with its last byte, wherever the chunks are cut', () => {
  const one = frame(2, { text: 'ä' }), two = frame(3, { runs: [1, 2] }), both = Buffer.concat([one, two]);
  for (let first = 1; first < both.length; first++) {
    for (let second = first; second <= both.length; second++) {
      const got = read([both.subarray(0, first), both.subarray(first, second), both.subarray(second)])
        .map(frames => frames.map(([kind]) => kind));
      const at = (/** @type {number} */ end) => first >= end ? 0 : second >= end ? 1 : 2;
      assert.deepEqual(
        got, [0, 1, 2].map(chunk => [2, 3].filter(kind => at(kind === 2 ? one.length : both.length) === chunk)),
        `cut at ${first} and ${second}`);
    }
  }
  assert.deepEqual(read([both]), [[[2, { text: 'ä' }], [3, { runs: [1, 2] }]]]);
});

test('A frame without a kind, or of more than 128 MiB, ends the reading before its payload is awaited', () => {
  for (const length of [0, 128 * 1024 * 1024 + 1, 0x7fffffff, 0xffffffff]) {
    const head = Buffer.alloc(5);
    head.writeUInt32LE(length);
    assert.throws(() => read([head]), { code: 'SENDOFF_PROTOCOL' }, `${length}`);
  }
  const longest = Buffer.alloc(5);
  longest.writeUInt32LE(128 * 1024 * 1024);
  assert.deepEqual(read([longest]), [[]]);
});

test('What is over a limit is not written, and what is written around it stays whole', () => {
  /** @type {Buffer[]} */ const written = [];
  const writer = new FrameWriter((buffer, length) => { written.push(Buffer.from(buffer.subarray(0, length))); });
  writer.json(21, '{"n":1}');
  assert.equal(writer.withBody(20, '{}', 'ä'.repeat(51), 100), 102);
  assert.equal(writer.withBody(20, '{}', Buffer.alloc(101), 100), 101);
  assert.throws(() => writer.json(21, `"${'x'.repeat(16 * 1024 * 1024)}"`), { code: 'SENDOFF_FRAME_TOO_LARGE' });
  assert.equal(writer.withBody(20, '{}', 'ä'.repeat(50), 100), 100);
  writer.flush();
  writer.flush();

  const [all] = written;
  assert.equal(written.length, 1);
  assert.equal(all.readUInt32LE(0), 8);
  const second = 4 + all.readUInt32LE(0);
  assert.deepEqual([all[second + 4], all.readUInt32LE(second + 5), all.subarray(second + 11).toString()], [20, 2, 'ä'.repeat(50)]);
});
