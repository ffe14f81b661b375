// @ts-check
// A server for one worker: starts main.mjs on a real socket, loads steps from a folder of their own and collects frames.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterEach } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/Sendoff.Engine/Workers/Harness/main.mjs', import.meta.url));
const KINDS = {
  16: 'ready', 17: 'loaded', 18: 'revoked', 19: 'expired', 20: 'send', 21: 'log', 22: 'export', 23: 'warning', 24: 'respond', 25: 'stepEnd',
  26: 'runEnd', 27: 'call', 28: 'keep',
};
/** How long a test waits for a frame: far more than any takes on a busy machine. */
const LIMIT_MS = 120_000;
const WITH_BODY = new Set(['send', 'respond']);

/** @type {Set<Worker>} */ const open = new Set();
afterEach(async () => { for (const worker of open) await worker.stop(); });

/** What the server says of a step's code; here only of the tests' own. @param {string} source */
function shapeOf(source) {
  if (/^\s*export\b/m.test(source) || /[;}]\s*export\b/.test(source)) return 'module';
  if (/\bdefineComponent\s*\(|\bmodule\.exports\b/.test(source)) return 'component';
  return /^\s*import\b(?!\s*[(.])/m.test(source) ? 'imports' : undefined;
}

/** @param {number} kind @param {object} payload */
export function frame(kind, payload) {
  const text = Buffer.from(JSON.stringify(payload));
  const bytes = Buffer.alloc(5 + text.length);
  bytes.writeUInt32LE(text.length + 1, 0);
  bytes[4] = kind;
  text.copy(bytes, 5);
  return bytes;
}

export class Worker {
  /** @type {any[]} */ frames = [];
  /** @type {{ matches: (frame: any) => boolean, resolve: (frame: any) => void, reject: () => void }[]} */ #waiting = [];
  #held = Buffer.alloc(0);
  #runs = 0;
  /** What the server keeps, by `store key`; null leaves calls unanswered. @type {Map<string, any> | null} */ kept = new Map();
  exited = /** @type {Promise<number | null>} */ (new Promise(() => {}));

  /** @param {string} folder @param {net.Server} server @param {import('node:child_process').ChildProcess} child
   *  @param {net.Socket} socket */
  constructor(folder, server, child, socket) {
    this.folder = folder;
    this.server = server;
    this.child = child;
    this.socket = socket;
    this.exited = new Promise(resolve => child.on('exit', code => resolve(code)));
    this.closed = new Promise(resolve => socket.on('close', resolve));
    socket.on('data', chunk => this.#take(chunk));
    socket.on('error', () => {});
    this.closed.then(() => { for (const waiting of this.#waiting) waiting.reject(); });
  }

  /** @param {Record<string, string> | string} files a string is the only step's code
   *  @param {{ steps?: any[], limits?: object, env?: Record<string, string>, accounts?: Record<string, Record<string, string>>,
   *  workflow?: object, args?: string[], flow?: { origin: string, key: string } }} [options] */
  static async start(files, options = {}) {
    const sources = typeof files === 'string' ? { 'step.js': files } : files;
    const folder = await mkdtemp(path.join(os.tmpdir(), 'harness-'));
    const root = path.join(folder, 'root');
    for (const [name, source] of Object.entries(sources)) {
      await mkdir(path.dirname(path.join(root, name)), { recursive: true });
      await writeFile(path.join(root, name), source);
    }
    const socketPath = path.join(folder, 'socket');
    const server = net.createServer();
    await new Promise(resolve => server.listen(socketPath, () => resolve(undefined)));
    const connected = new Promise(resolve => server.once('connection', resolve));
    const child = spawn(
      process.execPath, [...options.args ?? [], MAIN, socketPath],
      { stdio: ['ignore', 'inherit', 'inherit'], env: { PATH: process.env.PATH, OF_THE_SERVER: 'secret' } });
    const worker = new Worker(folder, server, child, await connected);
    open.add(worker);
    await worker.next('ready');
    worker.send(1, {
      workflow: { id: 'p_1', name: 'flow', version: 'd_7', ...options.workflow }, root, env: options.env ?? { NAME: 'value' },
      accounts: options.accounts, flow: options.flow,
      steps: (options.steps ?? Object.keys(sources).map(file => ({ name: path.basename(file).replace(/\..*/, ''), file })))
        .map(step => ({ shape: shapeOf(sources[step.file] ?? ''), ...step })),
      limits: { sends: 1000, bodyBytes: 1024 * 1024, logBytes: 65536, valueBytes: 1024 * 1024, ...options.limits },
    });
    worker.loaded = await worker.next('loaded');
    return worker;
  }

  /** @type {any} */ loaded;

  /** @param {number} kind @param {object} payload */
  send(kind, payload) { this.socket.write(frame(kind, payload)); }

  /** @param {any} event @param {number} [startBy] the worker's clock @param {object} [more] fields of the frame */
  post(event = {}, startBy = undefined, more = {}) {
    const run = ++this.#runs;
    this.send(2, { run, id: `run-${run}`, ts: 1700000000000, deadlineMs: 30000, startBy, replay: false, event, ...more });
    return run;
  }

  /** Executes one event to its end. @param {any} event @param {object} [more] fields of the run frame */
  async run(event = {}, more = {}) {
    const run = this.post(event, undefined, more);
    const end = await this.next('runEnd', frame => frame.run === run);
    return this.of(run, end);
  }

  /** @param {number} run @param {any} [end] */
  of(run, end) {
    const mine = this.frames.filter(frame => frame.run === run);
    const all = (/** @type {string} */ kind) => mine.filter(frame => frame.kind === kind);
    return {
      frames: mine, end, sends: all('send'), logs: all('log'), exports: all('export'), warnings: all('warning'), responses: all('respond'),
      steps: all('stepEnd'),
      /** @type {any} */
      step: all('stepEnd').at(-1), error: all('stepEnd').at(-1)?.error, value: all('stepEnd').at(-1)?.exports.$return_value,
    };
  }

  /** @param {string} kind @param {(frame: any) => boolean} [matches] @returns {Promise<any>} */
  next(kind, matches = () => true) {
    const wanted = (/** @type {any} */ frame) => frame.kind === kind && matches(frame);
    const found = this.frames.find(wanted);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const gone = () => reject(new Error(`no ${kind} came; the last frames: ${JSON.stringify(this.frames.slice(-3))}`));
      const patience = setTimeout(gone, LIMIT_MS);
      this.#waiting.push(
        {
          matches: wanted, resolve: frame => { clearTimeout(patience); resolve(frame); }, reject: () => { clearTimeout(patience); gone(); },
        });
      if (this.socket.destroyed) gone();
    });
  }

  /** As a server would, in short. @param {any} call @param {Map<string, any>} kept */
  answer({ run, id, method, args }, kept) {
    const place = `${args.store ?? ''} ${args.key}`, prefix = `${args.store ?? ''} `;
    const reply = (/** @type {any} */ value) => this.send(4, { run, id, value });
    const all = () => [...kept].filter(([at]) => at.startsWith(prefix)).map(([at, value]) => [at.slice(prefix.length), value])
      .filter(([key]) => key > (args.after ?? '')).sort().slice(0, 2);
    switch (method) {
      case 'get': return reply(kept.get(place));
      case 'set': kept.set(place, args.value); return reply(undefined);
      case 'has': return reply(kept.has(place));
      case 'delete': return reply(kept.delete(place));
      case 'keys': return reply(all().map(([key]) => key));
      case 'entries': return reply(all());
      default: return this.send(4, { run, id, error: { code: 'SENDOFF_NO', message: `no ${method}` } });
    }
  }

  async stop() {
    if (!open.delete(this)) return;
    this.child.kill('SIGKILL');
    this.socket.destroy();
    await this.exited;
    await new Promise(resolve => this.server.close(resolve));
    await rm(this.folder, { recursive: true, force: true });
  }

  /** @param {Buffer} chunk */
  #take(chunk) {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 5 && this.#held.length >= 4 + this.#held.readUInt32LE(0)) {
      const length = this.#held.readUInt32LE(0);
      this.#frame(this.#held[4], this.#held.subarray(5, 4 + length));
      this.#held = this.#held.subarray(4 + length);
    }
  }

  /** @param {number} number @param {Buffer} payload */
  #frame(number, payload) {
    const kind = /** @type {any} */ (KINDS)[number];
    let frame;
    if (WITH_BODY.has(kind)) {
      const head = payload.readUInt32LE(0);
      frame = {
        ...JSON.parse(payload.toString('utf8', 4, 4 + head)), body: payload.toString('latin1', 4 + head),
        text: payload.toString('utf8', 4 + head),
      };
    } else frame = JSON.parse(payload.toString());
    frame.kind = kind;
    this.frames.push(frame);
    if (kind === 'call' && this.kept !== null) this.answer(frame, this.kept);
    for (const waiting of this.#waiting.filter(each => each.matches(frame))) waiting.resolve(frame);
    this.#waiting = this.#waiting.filter(each => !each.matches(frame));
  }
}

/** Runs one step's code once. @param {string | Record<string, string>} files @param {any} [event] @param {any} [options] */
export async function once(files, event, options) {
  const worker = await Worker.start(files, options);
  try { return Object.assign(await worker.run(event), { loaded: worker.loaded }); } finally { await worker.stop(); }
}
