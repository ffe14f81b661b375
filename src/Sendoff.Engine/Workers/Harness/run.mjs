// @ts-check
// Executes runs strictly one after another. A step: (1) call it in its own async context  (2) read its return value
// (3) one turn of the event loop, in which unhandled rejections surface  (4) look for pending work  (5) write stepEnd.
import {
  activeResources, apply, builtinsChanged, clock, defineProperty, hasOwn, isInteger, later, loop, now, parseJson, pause, resolve, round,
  runWith, slice, storeOf, text, then, toJson,
} from './globals.mjs';
import { RUN_END, STEP_END, coded } from './frames.mjs';
import { removeAttachments } from './attachments.mjs';
import { describe, describedJson, explain } from './errors.mjs';
import { NO_RESPONSE, positionOf, responseRead } from './responses.mjs';
import { addRawBody } from './rawBody.mjs';
import { restoreGlobals } from './fresh.mjs';
import { forgetAsked } from './ask.mjs';
import { holdJson } from './flow.mjs';
import { authsOf, loadAccounts } from './accounts.mjs';
import { addProps, hasAddedProps, evaluateProps, thisOf } from './props.mjs';
import { callSource } from './source.mjs';
import { loadKept, saveKept } from './stores.mjs';
import { respondOf } from './respond.mjs';
import { Call, calls, dollarOf, endOf, exportJson, lazily, newSend, triggerOf, warn, worker, writeEarly } from './step.mjs';

/** @typedef {import('./load.mjs').Step} Step */
/** `raw` is the event's raw body in Base64, if it cannot be derived from its `body`; `json` is the text of the frame.
 *  @typedef {{ run: number, id: string, ts: number | string, deadlineMs: number, startBy?: number, replay?: boolean, raw?: string,
 *  json: string, event: any, context?: any, resume?: Resume, hook?: string }} RunFrame `hook` is the hook of an event source */
/** Where a suspended run resumes: at the step `from`, which has been started `runs` - 1 times and has made `sends`.
 *  @typedef {{ from: number, runs: number, sends: number, trace: string, context?: any, callback?: any, exports: (object |
 *  null)[] }} Resume */

const PENDING = 'This step was still trying to run code when the step ended. '
  + 'Make sure you await all Promises, or promisify callback functions.';
const UNSENT = 'what a step returns is no response: await $.respond({ status, headers, body }) answers the request';
const NOWHERE = { line: null, column: null };
// Number of checks for closing sockets and files. Counted instead of timed, because on a busy machine the threads that close them wait too.
const LOOKS_AT_ONCE = 200, LOOKS_1_MS_APART = 50;

/** One run. */
export class Run {
  sends = 0;
  sendBytes = 0;
  logBytes = 0;
  over = false;
  tainted = false;
  failed = false;
  /** The argument of $end or $.flow.exit. @type {string | null} */ message = null;
  exited = false;
  responded = false;
  /** A step that returned what looks like a response. @type {Call | null} */ unsent = null;
  /** `$attachments`, after its first use. @type {any} */ attachments = null;
  /** The workflow's `$checkpoint`. @type {any} */ checkpoint = undefined;
  /** As loaded or last saved. @type {string | undefined} */ checkpointJson = undefined;
  hasCheckpoint = false;
  /** @type {Resume | null} */ resume = null;
  /** Its suspension, JSON. */ hold = '';
  started = clock();
  idleBefore = loop.idleTime;
  startedAt = now();
  /** Exports of the steps so far, as JSON. @type {(string | undefined)[]} */ exports = [];

  /** @param {RunFrame} frame */
  constructor(frame) {
    this.frame = frame;
    this.number = frame.run;
    this.eventJson = steps.length > 1 ? toJson(frame.event ?? null) : '';
    if (!hasOwn(frame, 'resume')) return;
    const resume = this.resume = /** @type {Resume} */ (frame.resume);
    for (let i = 0; i < resume.exports.length; i++) this.exports[i] = resume.exports[i] === null ? undefined : toJson(resume.exports[i]);
  }
}

/** @type {Step[]} */ let steps = [];
let ready = false, tainted = false, baseline = 0, looks = 0;
/** @type {RunFrame[]} */ let queue = [];
let head = 0; // of the queue
/** @type {Run | null} */ let currentRun = null;
/** An error of a module while no run executed: it fails the next run. @type {{ error: any } | null} */ let orphan = null;
let endOfRun = () => {};
/** @type {(runs: number[]) => void} */ let giveBack = () => {};
/** @type {(runs: number[]) => void} */ let expire = () => {};

/** @param {{ endOfRun: () => void, giveBack: (runs: number[]) => void, expire: (runs: number[]) => void }} host */
export function configure(host) {
  ({ endOfRun, giveBack, expire } = host);
  worker.afterReading = (call, failed, error) => {
    if (failed) settle(call, true, error);
    if (call.reading === 0 && call.asking === 0 && call.waiting) afterTurn();
  };
}

/** @param {Step[]} loaded */
export function begin(loaded) {
  steps = loaded;
  baseline = activeResources().length;
  ready = true;
  later(next); // files that were opened by loading are closed then
}

/** @param {RunFrame} frame @param {string} json */
export function enqueue(frame, json) {
  frame.json = json;
  queue[queue.length] = frame;
  if (ready && currentRun === null) next();
}

/** Removes runs that have not started. @param {number[]} runs @returns {number[]} those removed */
export function revoke(runs) {
  const removed = [], kept = [];
  for (let i = head; i < queue.length; i++) {
    let asked = false;
    for (let j = 0; j < runs.length; j++) if (runs[j] === queue[i].run) asked = true;
    if (asked) removed[removed.length] = queue[i].run; else kept[kept.length] = queue[i];
  }
  queue = kept;
  head = 0;
  return removed;
}

function next() {
  if (currentRun !== null) return;
  if (tainted) {
    const rest = [];
    for (; head < queue.length; head++) rest[rest.length] = queue[head].run;
    queue = [];
    head = 0;
    if (rest.length > 0) giveBack(rest);
    return;
  }
  skipLate();
  if (head >= queue.length) { queue = []; head = 0; return; }
  const before = activeResources().length;
  if (before < baseline) baseline = before;
  const frame = queue[head++];
  if (head > 1024) { queue = without(queue, head); head = 0; }
  currentRun = new Run(frame);
  startStep(currentRun.resume === null ? 0 : currentRun.resume.from);
}

/** @param {RunFrame[]} list @param {number} first number to skip */
function without(list, first) {
  const rest = [];
  for (let i = first; i < list.length; i++) rest[rest.length] = list[i];
  return rest;
}

/** Runs that have expired: they must not start here, because the server may have given them to another worker. */
function skipLate() {
  const late = [];
  for (; head < queue.length; head++) {
    const frame = queue[head];
    if (!hasOwn(frame, 'startBy') || clock() < /** @type {number} */ (frame.startBy)) break;
    late[late.length] = frame.run;
  }
  if (late.length > 0) expire(late);
}

/** @param {number} index */
function startStep(index) {
  const run = /** @type {Run} */ (currentRun);
  for (; index < steps.length; index++) {
    const step = steps[index];
    if (step.disabled || run.exited) {
      worker.writer.json(STEP_END, `{"run":${run.number},"step":${index},"status":"skipped","durationMs":0,"exports":{}}`);
      continue;
    }
    const call = new Call(run, step);
    worker.current = call;
    writeEarly(call);
    const loading = bothOf(loadKept(call), loadAccounts(call));
    if (loading === null) runWith(calls, call, invoke, call);
    else then(loading, () => { if (!call.settled) runWith(calls, call, invoke, call); }, error => settle(call, true, error));
    return;
  }
  finishRun();
}

/** @param {Promise<void> | null} first @param {Promise<void> | null} second which does not fail */
const bothOf = (first, second) => first === null ? second : second === null ? first : then(first, () => second);

/** (1) @param {Call} call */
function invoke(call) {
  let result;
  try {
    const { step, run } = call;
    if (step.problem !== null) throw problemError(step);
    if (orphan !== null) throw takeOrphan();
    call.$send = newSend(call);
    // The original event: an earlier step may have changed its copy.
    call.event = step.index === 0 || steps.length === 1 ? run.frame.event : parseJson(run.eventJson);
    addRawBody(call);
    const seen = stepsSeenBy(call);
    const props = step.inputs === null ? null : evaluateProps(call, seen);
    result = step.body !== null ? callBody(call, seen, props) : callComponent(call, seen, props);
    then(resolve(result), value => settle(call, false, value), error => settle(call, true, error));
  } catch (error) {
    settle(call, true, error);
  }
}

function takeOrphan() {
  const { error } = /** @type {{ error: any }} */ (orphan);
  orphan = null;
  /** @type {Run} */ (currentRun).tainted = true;
  return error;
}

/** @param {Call} call @param {any} seen @param {any} props */
function callBody(call, seen, props) {
  const { body, order } = call.step;
  const given = [call.event, seen, props ?? {}, authsOf(call, props), call.$send, respondOf(call), endOf(call)];
  call.self = call.kept?.own === undefined ? {} : { $checkpoint: call.kept.own };
  return apply(/** @type {any} */ (body), call.self, order === null ? given : ordered(given, order));
}

/** @param {any[]} given @param {number[]} order */
function ordered(given, order) {
  const result = [];
  for (let i = 0; i < order.length; i++) result[i] = given[order[i]];
  return result;
}

/** @param {Call} call @param {any} seen @param {any} props */
function callComponent(call, seen, props) {
  const { component } = call.step, self = thisOf(call, props);
  const start = () => call.step.isSource ? callSource(call, self) : apply(component.run, self, [{ steps: seen, $: dollarOf(call) }]);
  return typeof component.additionalProps !== 'function' || hasAddedProps(call) ? start() : then(addProps(self, call), start, error => {
    if (error?.code === 'SENDOFF_PROP') throw error;
    warn(call, 'additional_props_failed',
      `additionalProps failed, so that the props it adds have no defaults: ${text(error?.message ?? error)}`);
    return start();
  });
}

/** @param {Step} step */
function problemError(step) {
  const problem = /** @type {import('./load.mjs').Problem} */ (step.problem);
  const error = new Error(problem.message);
  error.name = problem.name;
  error.stack = `${problem.name}: ${problem.message}\n    at ${step.file}:${problem.line ?? 1}:${problem.column ?? 1}`;
  return coded(error, 'SENDOFF_LOAD');
}

/** `steps` for one step: exports of earlier ones are parsed when first read, a fresh copy for each step. @param {Call} call */
function stepsSeenBy(call) {
  const { run } = call;
  const seen = { trigger: triggerOf(call) };
  for (let i = 0; i < call.step.index; i++) {
    const json = run.exports[i];
    if (json === undefined) continue;
    const { name } = steps[i];
    defineProperty(seen, name, {
      __proto__: null, enumerable: true, configurable: true,
      get() { return lazily(this, name, parseJson(json)); },
      set(value) { lazily(this, name, value); },
    });
  }
  return seen;
}

/** (2) Converts the return value to JSON immediately. @param {Call} call @param {boolean} failed @param {any} value */
function settle(call, failed, value) {
  if (call.settled) {
    if (failed && !call.failed && !call.finished) { call.failed = true; call.error = value; }
    return;
  }
  call.settled = true;
  call.failed = failed;
  if (failed) call.error = value;
  else if (value !== undefined) {
    if (worker.workflow.customResponse === true && looksLikeResponse(value)) call.run.unsent = call;
    try { call.own += exportJson(call, '$return_value', value); } catch (error) { call.failed = true; call.error = error; }
  }
  if (call.self !== null) takeThis(call);
  call.ended = clock();
  later(afterTurn);
}

/** `return { status, body }` instead of calling $.respond. @param {any} value */
function looksLikeResponse(value) {
  try {
    return value !== null && typeof value === 'object' && hasOwn(value, 'body') && isInteger(+(value.status ?? value.statusCode));
  } catch { return false; }
}

/** Fields that a body step set on `this`. @param {Call} call */
function takeThis(call) {
  try {
    for (const name in call.self) if (name !== '$checkpoint') call.own += exportJson(call, name, call.self[name]);
  } catch (error) {
    if (!call.failed) { call.failed = true; call.error = error; }
  }
}

/** (3) */
function afterTurn() {
  const call = worker.current;
  if (call === null || call.finished) return;
  if (call.reading > 0 || call.asking > 0) {
    if (call.asking > 0) warn(call, 'unfinished_work', PENDING);
    call.waiting = true;
    return;
  }
  call.waiting = false;
  if (call.kept !== null && keep(call)) { call.waiting = true; return; }
  // (4) Remaining timers would fire too late; sockets and files get a short time to close.
  if (activeResources().length > baseline) {
    const left = activeResources();
    let timers = 0;
    for (let i = 0; i < left.length; i++) if (left[i] === 'Timeout') timers++;
    if (left.length - timers > baseline && looks < LOOKS_AT_ONCE + LOOKS_1_MS_APART) {
      if (looks++ >= LOOKS_AT_ONCE) pause();
      later(afterTurn);
      return;
    }
    warn(call, 'unfinished_work', PENDING);
  }
  looks = 0;
  finishStep(call);
}

/** @param {Call} call @returns {boolean} whether it must wait */
function keep(call) {
  try { return saveKept(call); } catch (error) { settle(call, true, error); return call.asking > 0; }
}

/** (5) @param {Call} call */
function finishStep(call) {
  call.finished = true;
  const { run, step } = call;
  if (call.failed && endsRun(call.error)) {
    call.failed = false;
    const message = call.error.__pd_end?.message;
    run.message = message === undefined ? null : text(message);
    run.exited = true;
  }
  const failure = call.failed ? failureJson(call) : '';
  if (call.sends > 0) warnOfReadResponse(call);
  const exports = call.own === '' ? '' : slice(call.own, 1);
  worker.writer.json(STEP_END,
    `{"run":${run.number},"step":${step.index},"status":"${call.failed ? 'failed' : 'succeeded'}",`
    + `"durationMs":${ms(call.ended - call.started)},"exports":{${exports}}${inputsJson(call)}${failure}}`);
  if (step.index + 1 < steps.length) run.exports[step.index] = `{${slice(call.reported + call.own, 1)}}`;
  if (!restoreGlobals()) run.tainted = true;
  if (call.failed) {
    run.failed = true;
    finishRun();
    return;
  }
  run.hold = step.isSource ? '' : holdJson(call);
  if (run.hold !== '') return finishRun();
  if (step.index + 1 < steps.length) worker.writer.flush();
  startStep(step.index + 1);
}

/** @param {Call} call */
const inputsJson = call => call.inputs === '' ? '' : `,"inputs":${call.inputs}`;

/** @param {Call} call */
function failureJson(call) {
  const described = describe(call.error, call.step);
  const explained = explain(described, call.step, call.run.sends > 0);
  if (explained !== null) warn(call, explained.code, explained.message, described);
  return `,"error":${describedJson(described)}`;
}

/** The position at which each step's source reads a response; -1 if it does not. @type {number[]} */
const reads = [];

/** A8: code that catches the error, or uses `?.`, continues without a response. @param {Call} call */
function warnOfReadResponse(call) {
  const { index, source } = call.step, at = reads[index] ??= responseRead(source);
  if (at >= 0) warn(call, 'send_has_no_response', NO_RESPONSE, positionOf(source, at));
}

/** @param {any} error whether `$end` of Sendoff or of the package @pipedreamhq/platform threw it */
function endsRun(error) {
  try { return error !== null && typeof error === 'object' && error.__pd_end !== undefined; } catch { return false; }
}

function finishRun(exiting = false) {
  const run = /** @type {Run} */ (currentRun);
  if (run.unsent !== null && !run.responded && !run.failed) warn(run.unsent, 'response_not_sent', UNSENT, NOWHERE);
  if (run.attachments !== null) removeAttachments(run.attachments);
  run.over = true;
  const pending = activeResources().length;
  run.tainted ||= exiting || pending > baseline || builtinsChanged();
  const message = run.message === null ? '' : `,"message":${toJson(run.message)}`;
  worker.writer.json(RUN_END,
    `{"run":${run.number},"status":"${run.failed ? 'failed' : 'succeeded'}"${message}${run.hold},`
    + `"durationMs":${ms(clock() - run.started)},"idleMs":${ms(loop.idleTime - run.idleBefore)},"tainted":${run.tainted}}`);
  worker.writer.flush();
  tainted ||= run.tainted;
  currentRun = worker.current = null;
  forgetAsked();
  endOfRun();
  if (!exiting) later(next);
}

/** @param {number} value */
const ms = value => value < 0 ? 0 : round(value * 1000) / 1000;

/** An uncaught exception or unhandled rejection fails the step that is executing. @param {any} error */
export function uncaught(error) {
  const origin = storeOf(calls);
  if (origin !== undefined && origin.run.over) return; // the worker is already tainted
  if (worker.current !== null) settle(worker.current, true, error);
  else orphan = { error };
}

/** Fails the run and completes its record before the process ends. @param {string} what */
export function exiting(what) {
  if (worker.loading >= 0) throw coded(new Error(`${what} was called while the module was loading`), 'SENDOFF_EXIT');
  const call = worker.current;
  if (currentRun === null || call === null || call.finished) return;
  call.failed = true;
  call.error = coded(
    new Error(`${what} was called: it ends the worker and so fails the run. Use return, or $.flow.exit(), to end early`), 'SENDOFF_EXIT');
  if (call.self !== null && !call.settled) takeThis(call);
  call.settled = true;
  call.ended = clock();
  call.finished = true;
  const { run, step } = call;
  worker.writer.json(STEP_END,
    `{"run":${run.number},"step":${step.index},"status":"failed","durationMs":${ms(call.ended - call.started)},`
    + `"exports":{${slice(call.own, 1)}}${inputsJson(call)}${failureJson(call)}}`);
  run.failed = true;
  finishRun(true);
}
