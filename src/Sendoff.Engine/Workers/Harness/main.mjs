// @ts-check
// A worker: executes runs that the server sends over a socket, whose path is the first argument (docs/worker-protocol.md). If the second
// argument is `alone`, steps cannot start processes.
import net from 'node:net';
import { createRequire } from 'node:module';
import path from 'node:path';
import { acceptBuiltins, bufferFrom, clock, reallyExit, toJson } from './globals.mjs';
import { answered } from './ask.mjs';
import { ownAttachments } from './attachments.mjs';
import {
  ADOPT, ANSWER, EXPIRED, FrameWriter, LOAD, LOADED, READY, REVOKE, REVOKED, RUN, coded, frameReader, socketSink,
} from './frames.mjs';
import { refuseChildren } from './children.mjs';
import { keepToItself } from './reach.mjs';
import { captureConsole } from './console.mjs';
import { ConfigurationError } from './errors.mjs';
import { acceptGlobals, watchGlobals } from './fresh.mjs';
import { defineComponent, loadSteps, warningsOf } from './load.mjs';
import { described } from './props.mjs';
import { begin, configure, enqueue, exiting, revoke, uncaught } from './run.mjs';
import { defineGlobals, log, worker } from './step.mjs';

// During a shutdown the server waits for runs and then ends its workers.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => {});
if (process.argv[3] === 'alone') {
  refuseChildren();
  keepToItself();
}
const socket = net.connect(process.argv[2], () => {
  worker.writer = new FrameWriter(socketSink(socket));
  write(READY, { pid: process.pid, node: process.version, clock: clock() });
});
socket.on('data', frameReader(onFrame));
socket.on('error', () => reallyExit(0));
socket.on('close', () => reallyExit(0));

/** @param {number} kind @param {object} payload */
function write(kind, payload) {
  worker.writer.json(kind, toJson(payload));
  worker.writer.flush();
}

/** @param {number} kind @param {any} payload @param {string} json */
function onFrame(kind, payload, json) {
  switch (kind) {
    case RUN: return enqueue(payload, json);
    case ANSWER: return answered(payload);
    case REVOKE: return write(REVOKED, { runs: revoke(payload.runs) });
    case LOAD: return void load(payload);
    case ADOPT: return belongTo(payload);
    default: throw new Error(`unknown frame ${kind}`);
  }
}

/** Names the workflow that its runs are of. Loading does not depend on it. @param {any} frame */
function belongTo(frame) {
  worker.workflow = frame.workflow ?? {};
  if (frame.flow !== undefined) worker.flow = { origin: frame.flow.origin, key: bufferFrom(frame.flow.key, 'base64') };
}

/** @param {any} frame */
async function load(frame) {
  const endOfRun = captureConsole(log);
  configure({ endOfRun, giveBack: runs => write(REVOKED, { runs }), expire: runs => write(EXPIRED, { runs }) });
  belongTo(frame);
  Object.assign(worker.limits, frame.limits);
  worker.asksAccounts = frame.asksAccounts === true;
  worker.accountsJson = frame.accounts === undefined ? '' : toJson(frame.accounts);
  worker.attachments = ownAttachments(frame.root);
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, frame.env);
  guardProcess();
  watchGlobals(() => worker.current !== null);
  defineGlobals({
    defineComponent: Object.freeze(defineComponent), ConfigurationError: Object.freeze(ConfigurationError),
    require: createRequire(path.join(frame.root, 'package.json')),
  });

  const { steps, problems } = await loadSteps(frame, step => { worker.loading = step; });
  acceptBuiltins();
  acceptGlobals();
  write(LOADED, {
    steps: steps.map(({ name, style, definitions, facts }) => ({ name, style, props: described(definitions), source: facts })),
    problems, warnings: warningsOf(steps),
  });
  begin(steps);
}

function guardProcess() {
  process.setUncaughtExceptionCaptureCallback(uncaught);
  const target = /** @type {any} */ (process);
  target.exit = (/** @type {any} */ code) => { exiting(`process.exit(${code ?? ''})`); reallyExit(code ?? process.exitCode ?? 0); };
  target.reallyExit = target.exit;
  // Node.js throws if the callback is already set, and only allows resetting it.
  target.setUncaughtExceptionCaptureCallback = (/** @type {any} */ callback) => {
    if (callback !== null)
      throw coded(
        new Error('an uncaught exception fails the step: a callback cannot be set'), 'ERR_UNCAUGHT_EXCEPTION_CAPTURE_ALREADY_SET');
  };
  target.abort = () => { exiting('process.abort()'); reallyExit(134); };
}
