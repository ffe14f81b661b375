// @ts-check
// Executes runs strictly one after another. A step: (1) call it in its own async context  (2) take what it returned
// (3) one turn of the event loop, in which unhandled rejections surface  (4) look for pending work  (5) write stepEnd.
import {
  AsyncLocalStorage, activeResources, apply, assign, bufferFrom, builtinsChanged, byteLength, captureStackTrace, clock, defineProperty, delay, isArray,
  isInteger, keys, later, now, parseJson, resolve, runWith, storeOf, text, then, toJson, types,
} from './globals.mjs';
import { EXPORT, LOG, RESPOND, RUN_END, SEND, STEP_END, WARNING, coded } from './frames.mjs';
import { describe, explain, userPosition } from './errors.mjs';
import { encodeSend, invalid, partsBytes, readHeaders, readParts, show } from './send.mjs';

/** @typedef {import('./load.mjs').Step} Step */
/** @typedef {{ sends: number, bodyBytes: number, logBytes: number, valueBytes: number }} Limits */
/** @typedef {{ run: number, id: string, ts: number | string, deadlineMs: number, replay?: boolean, attempt?: number, event: any, context?: any }} RunFrame */

const PENDING = 'This step was still trying to run code when the step ended. Make sure you await all Promises, or promisify callback functions.';
const GRACE_MS = 10; // for sockets and files that are closing

/** One run. */
class Run {
  sends = 0;
  logBytes = 0;
  over = false;
  tainted = false;
  failed = false;
  /** What $end or $.flow.exit was given. @type {string | null} */ message = null;
  exited = false;
  /** The run's shared `$checkpoint`. @type {any} */ checkpoint = undefined;
  started = clock();
  startedAt = now();
  /** Exports of the steps so far, as JSON. @type {(string | undefined)[]} */ exports = [];

  /** @param {RunFrame} frame */
  constructor(frame) {
    this.frame = frame;
    this.number = frame.run;
    this.eventJson = steps.length > 1 ? toJson(frame.event ?? null) : '';
  }
}

/** One call of one step. */
class Call {
  settled = false;
  finished = false;
  waiting = false;
  failed = false;
  /** @type {any} */ error = undefined;
  /** `,"name":json` of what export frames reported, and of what stepEnd will. */
  reported = '';
  own = '';
  sends = 0;
  /** Bodies whose Blobs are being read. */
  reading = 0;
  started = clock();
  ended = 0;
  /** @type {Record<string, number> | null} */ warned = null;
  /** @type {any} */ self = null;
  /** @type {any} */ dollar = null;
  /** @type {any} */ event = undefined;
  /** @type {any} */ $send = null;

  /** @param {Run} run @param {Step} step */
  constructor(run, step) { this.run = run; this.step = step; }
}

/** @type {import('./frames.mjs').FrameWriter} */ let writer;
/** @type {Step[]} */ let steps = [];
/** @type {{ id?: string, name?: string, version?: any, owner?: string }} */ let workflow = {};
/** @type {Limits} */ let limits;
let ready = false, workerTainted = false, baseline = 0, graceEnds = 0;
/** @type {RunFrame[]} */ let queue = [];
let head = 0; // of the queue
/** @type {Run | null} */ let currentRun = null;
/** @type {Call | null} */ let current = null;
/** Console output of modules while they load belongs to the first run. @type {[number, string, string][]} */ let early = [];
let loading = -1;
/** Fails the next run. @type {{ error: any } | null} */ let orphanError = null;
let endOfRun = () => {};
/** @type {(runs: number[]) => void} */ let giveBack = () => {};
const calls = new AsyncLocalStorage();

/** @param {{ writer: typeof writer, workflow: typeof workflow, limits: Partial<Limits>, endOfRun: () => void, giveBack: (runs: number[]) => void }} host */
export function configure(host) {
  ({ writer, workflow, endOfRun, giveBack } = host);
  limits = { sends: 1000, bodyBytes: 1024 * 1024, logBytes: 1024 * 1024, valueBytes: 6 * 1024 * 1024, ...host.limits };
}

/** @param {Step[]} loaded */
export function begin(loaded) {
  steps = loaded;
  baseline = activeResources().length;
  ready = true;
  next();
}

/** @param {RunFrame} frame */
export function enqueue(frame) {
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
  if (workerTainted) {
    const rest = queue.slice(head).map(frame => frame.run);
    queue = [];
    head = 0;
    if (rest.length > 0) giveBack(rest);
    return;
  }
  if (head >= queue.length) { queue = []; head = 0; return; }
  const frame = queue[head++];
  if (head > 1024) { queue = queue.slice(head); head = 0; }
  currentRun = new Run(frame);
  startStep(0);
}

/** @param {number} index */
function startStep(index) {
  const run = /** @type {Run} */ (currentRun);
  for (; index < steps.length; index++) {
    const step = steps[index];
    if (step.disabled || run.exited) {
      writer.json(STEP_END, `{"run":${run.number},"step":${index},"status":"skipped","durationMs":0,"exports":{}}`);
      continue;
    }
    current = new Call(run, step);
    if (early.length > 0) writeEarly(current);
    runWith(calls, current, invoke, current);
    return;
  }
  finishRun();
}

/** (1) @param {Call} call */
function invoke(call) {
  let result;
  try {
    const { step, run } = call;
    if (step.problem !== null) throw problemError(step);
    if (orphanError !== null) throw takeOrphanError();
    call.$send = newSend(call);
    // The event as it came: an earlier step may have changed its own copy.
    call.event = step.index === 0 || steps.length === 1 ? run.frame.event : parseJson(run.eventJson);
    const seen = stepsSeenBy(call);
    const props = step.propsJson === null ? null : resolveProps(step.propsJson);
    if (step.body !== null) {
      call.self = {};
      result = apply(step.body, call.self, [call.event, seen, props ?? {}, {}, call.$send, respondOf(call), endOf(call)]);
    } else {
      result = apply(step.component.run, thisOf(step.component, props), [{ steps: seen, $: dollarOf(call) }]);
    }
    then(resolve(result), value => settle(call, false, value), error => settle(call, true, error));
  } catch (error) {
    settle(call, true, error);
  }
}

function takeOrphanError() {
  const { error } = /** @type {{ error: any }} */ (orphanError);
  orphanError = null;
  /** @type {Run} */ (currentRun).tainted = true;
  return error;
}

/** Literal values; `{{ }}` templates are to be evaluated here. @param {string} json */
function resolveProps(json) { return parseJson(json); }

/** A component's `this`: methods, defaults of props, values of props. @param {any} component @param {any} props */
function thisOf(component, props) {
  const self = assign({}, component.methods);
  for (const name in component.props) {
    const fallback = component.props[name]?.default;
    if (fallback !== undefined) self[name] = typeof fallback === 'object' ? parseJson(toJson(fallback)) : fallback;
  }
  return props === null ? self : assign(self, props);
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
  const { run, event } = call;
  const seen = { trigger: { event, context: triggerContext(run) } };
  for (let i = 0; i < call.step.index; i++) {
    const json = run.exports[i];
    if (json === undefined) continue;
    const { name } = steps[i];
    const set = (/** @type {any} */ value) => { defineProperty(seen, name, { value, enumerable: true, configurable: true, writable: true }); };
    defineProperty(seen, name, { enumerable: true, configurable: true, set, get() { const value = parseJson(json); set(value); return value; } });
  }
  return seen;
}

/** @param {Run} run */
function triggerContext(run) {
  const { frame } = run;
  const ts = typeof frame.ts === 'number' ? new Date(frame.ts).toISOString() : frame.ts;
  return {
    id: frame.id, ts, workflow_id: workflow.id, workflow_name: workflow.name, deployment_id: workflow.version, owner_id: workflow.owner ?? null, emitter_id: null,
    trace_id: frame.id, platform_version: 'sendoff', replay: frame.replay === true, verified: false, hops: null, test: false, ...frame.context,
  };
}

/** (2) What it returned is taken as JSON at once. @param {Call} call @param {boolean} failed @param {any} value */
function settle(call, failed, value) {
  if (call.settled) {
    if (failed && !call.failed && !call.finished) { call.failed = true; call.error = value; }
    return;
  }
  call.settled = true;
  call.failed = failed;
  if (failed) call.error = value;
  else if (value !== undefined) {
    try { call.own += exportJson(call, '$return_value', value); } catch (error) { call.failed = true; call.error = error; }
  }
  if (call.self !== null) takeThis(call);
  call.ended = clock();
  later(afterTurn);
}

/** Fields that a body put on `this`. @param {Call} call */
function takeThis(call) {
  try {
    for (const name in call.self) if (name !== '$checkpoint') call.own += exportJson(call, name, call.self[name]);
  } catch (error) {
    if (!call.failed) { call.failed = true; call.error = error; }
  }
}

/** (3) */
function afterTurn() {
  const call = current;
  if (call === null || call.finished) return;
  if (call.reading > 0) { call.waiting = true; return; }
  call.waiting = false;
  // (4) Timers that are left will fire too late; sockets and files get a moment to close.
  if (activeResources().length > baseline) {
    const left = activeResources();
    let timers = 0;
    for (let i = 0; i < left.length; i++) if (left[i] === 'Timeout' || left[i] === 'Immediate') timers++;
    if (graceEnds === 0) graceEnds = clock() + GRACE_MS;
    // Of `Immediate`, the one that calls this is no longer counted.
    if (left.length - timers > baseline && clock() < graceEnds) { later(afterTurn); return; }
    warn(call, 'unfinished_work', PENDING);
  }
  graceEnds = 0;
  finishStep(call);
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
  const exports = call.own === '' ? '' : call.own.substring(1);
  const inputs = step.propsJson === null ? '' : `,"inputs":${step.propsJson}`;
  writer.json(STEP_END, `{"run":${run.number},"step":${step.index},"status":"${call.failed ? 'failed' : 'succeeded'}","durationMs":${ms(call.ended - call.started)},"exports":{${exports}}${inputs}${failure}}`);
  if (step.index + 1 < steps.length) run.exports[step.index] = `{${(call.reported + call.own).substring(1)}}`;
  if (call.failed) {
    run.failed = true;
    finishRun();
    return;
  }
  if (step.index + 1 < steps.length) writer.flush();
  startStep(step.index + 1);
}

/** @param {Call} call */
function failureJson(call) {
  const described = describe(call.error, call.step);
  const explained = explain(described, call.step, call.run.sends > 0);
  if (explained !== null) warn(call, explained.code, explained.message, described);
  return `,"error":${toJson(described)}`;
}

/** @param {any} error whether `$end` threw it, ours or that of the package @pipedreamhq/platform */
function endsRun(error) {
  try { return error !== null && typeof error === 'object' && error.__pd_end !== undefined; } catch { return false; }
}

function finishRun(exiting = false) {
  const run = /** @type {Run} */ (currentRun);
  run.over = true;
  const pending = activeResources().length;
  run.tainted ||= exiting || pending > baseline || builtinsChanged();
  if (pending < baseline) baseline = pending;
  const message = run.message === null ? '' : `,"message":${toJson(run.message)}`;
  writer.json(RUN_END, `{"run":${run.number},"status":"${run.failed ? 'failed' : 'succeeded'}"${message},"durationMs":${ms(clock() - run.started)},"tainted":${run.tainted}}`);
  writer.flush();
  workerTainted ||= run.tainted;
  currentRun = current = null;
  endOfRun();
  if (!exiting) later(next);
}

/** @param {number} value */
const ms = value => value < 0 ? 0 : Math.round(value * 1000) / 1000;

/** An uncaught exception or unhandled rejection fails the step that is executing. @param {any} error */
export function uncaught(error) {
  const origin = storeOf(calls);
  if (origin !== undefined && origin.run.over) return; // the worker is tainted by it already
  if (current !== null) settle(current, true, error);
  else orphanError = { error }; // from a module, while no run executed
}

/** The run fails, with its record complete, before the process ends. @param {string} what */
export function exiting(what) {
  if (loading >= 0) throw coded(new Error(`${what} was called while the module was loading`), 'SENDOFF_EXIT');
  const call = current;
  if (currentRun === null || call === null || call.finished) return;
  call.failed = true;
  call.error = coded(new Error(`${what} was called: it ends the worker and so fails the run. Use return, or $.flow.exit(), to end early`), 'SENDOFF_EXIT');
  if (call.self !== null && !call.settled) takeThis(call);
  call.settled = true;
  call.ended = clock();
  call.finished = true;
  const { run, step } = call;
  writer.json(STEP_END, `{"run":${run.number},"step":${step.index},"status":"failed","durationMs":${ms(call.ended - call.started)},"exports":{${call.own.substring(1)}}${failureJson(call)}}`);
  run.failed = true;
  finishRun(true);
}

/** The call that the code executing now belongs to. A callback that lost its context belongs to the run at hand. @returns {Call | null} */
const callingNow = () => storeOf(calls) ?? current;

/** @param {Call | null} call @param {string} what @returns {asserts call is Call} */
function mustBeLive(call, what) {
  if (call === null) throw coded(new Error(`${what} was called while no run was executing`), 'SENDOFF_RUN_ENDED');
  if (call.run.over) throw coded(new Error(`${what} was called after its run had ended: nothing was sent. Await all promises in the step`), 'SENDOFF_RUN_ENDED');
}

/** Every step gets its own (E9). @param {Call | null} call */
function newSend(call) {
  return {
    /** @param {any} options */
    http: function http(options) {
      try {
        mustBeLive(call, '$send.http');
        send(call, options);
      } catch (error) {
        if (/** @type {any} */ (error)?.code?.startsWith?.('SENDOFF_')) captureStackTrace(/** @type {any} */ (error), http);
        throw error;
      }
    },
  };
}

/** A3: synchronous, a snapshot, and in the server's hands when it returns (B2). @param {Call} call @param {any} options */
function send(call, options) {
  const { run } = call;
  if (run.sends >= limits.sends) throw coded(new Error(`$send.http: more than ${limits.sends} sends in a run (setting Sends:MaxPerRun)`), 'SENDOFF_TOO_MANY_SENDS');
  const request = encodeSend(options, (code, message) => warn(call, code, message));
  const start = `{"run":${run.number},"step":${call.step.index},"index":`;
  const end = `,"method":${toJson(request.method)},"url":${toJson(request.url)},"headers":${toJson(request.headers)}}`;
  if (request.parts === null) {
    const bytes = writer.withBody(SEND, `${start}${call.sends}${end}`, request.body, limits.bodyBytes);
    if (bytes > limits.bodyBytes) throw bodyTooLarge(bytes);
    writer.flush();
  } else {
    const bytes = partsBytes(request.parts);
    if (bytes > limits.bodyBytes) throw bodyTooLarge(bytes);
    // The one exception to B2: a Blob's bytes are immutable but only to be had asynchronously. The send has its index,
    // and the step does not end before it is handed over.
    readThenSend(call, `${start}${call.sends}${end}`, request.parts);
  }
  call.sends++;
  run.sends++;
}

/** @param {number} bytes */
const bodyTooLarge = bytes => coded(new Error(`$send.http: the body has ${bytes} bytes or more, over the limit of ${limits.bodyBytes} (setting Sends:MaxBodyBytes)`), 'SENDOFF_BODY_TOO_LARGE');

/** @param {Call} call @param {string} head @param {(string | Blob)[]} parts */
function readThenSend(call, head, parts) {
  call.reading++;
  then(readParts(parts), body => {
    writer.withBody(SEND, head, body);
    writer.flush();
    if (--call.reading === 0 && call.waiting) afterTurn();
  }, error => {
    call.reading--;
    settle(call, true, error);
    if (call.reading === 0 && call.waiting) afterTurn();
  });
}

/** @param {Call} call @param {string} name @param {any} value @returns {string} `,"name":json`, or nothing */
function exportJson(call, name, value) {
  if (value === undefined) return '';
  let json, why = 'it has no JSON form';
  try {
    json = types.isPromise(value) ? undefined : toJson(value);
    if (types.isPromise(value)) why = 'it is a Promise: await it first';
  } catch (error) {
    try { why = text(/** @type {any} */ (error).message).split('\n')[0]; } catch { /* a hostile toJSON */ }
  }
  if (json === undefined) {
    warn(call, 'export_not_serialisable', `the value of ${name} was left out, as only JSON passes between steps: ${why}`);
    return '';
  }
  const bytes = json.length * 3 <= limits.valueBytes ? 0 : byteLength(json);
  if (bytes > limits.valueBytes) throw coded(new Error(`the value of ${name} has ${bytes} bytes, over the limit of ${limits.valueBytes} (setting Runs:MaxValueBytes)`), 'SENDOFF_VALUE_TOO_LARGE');
  return `,${toJson(name)}:${json}`;
}

/** @param {Call} call @param {any} name @param {any} value */
function exportValue(call, name, value) {
  mustBeLive(call, '$.export');
  const json = exportJson(call, text(name), value);
  if (json === '') return;
  const key = toJson(text(name));
  writer.json(EXPORT, `{"run":${call.run.number},"step":${call.step.index},"name":${key},"value":${json.substring(key.length + 2)}}`);
  writer.flush();
  call.reported += json;
}

/** E7. @param {Call} call */
const respondOf = call => function $respond(/** @type {any} */ options) {
  mustBeLive(call, '$respond');
  const refused = (/** @type {string} */ why) => { warn(call, 'response_not_sent', `$respond: ${why}, so no response was sent`); return resolve(undefined); };
  if (options === null || typeof options !== 'object') return refused('an object { status, headers, body } is needed');
  const status = options.status === undefined ? 200 : +options.status;
  if (!isInteger(status) || status < 200 || status > 599) return refused(`${show(options.status)} is no HTTP status from 200 to 599`);
  let { body } = options, type = '';
  if (body === undefined || body === null) body = null;
  else if (types.isArrayBufferView(body)) body = bufferFrom(body.buffer, body.byteOffset, body.byteLength);
  else if (types.isAnyArrayBuffer(body)) body = bufferFrom(body);
  else if (typeof body === 'object' && typeof body.pipe !== 'function' && typeof body.getReader !== 'function' && !types.isPromise(body)) {
    try { body = toJson(body); } catch (error) { return refused(`its body has no JSON form`); }
    type = 'application/json';
  } else if (typeof body !== 'string') return refused(`a body is a string, an object or a Buffer, not ${show(body)}`);
  const headers = readHeaders(options.headers, (code, message) => warn(call, code, message), (value, path) => {
    const error = invalid(value, path);
    error.message = `$respond: invalid value ${show(value)} for ${path}`;
    captureStackTrace(error, $respond);
    return coded(error, 'SENDOFF_INVALID_RESPONSE');
  });
  const list = type === '' || headers.contentType !== undefined ? headers.list : [...headers.list, ['content-type', type]];
  writer.withBody(RESPOND, `{"run":${call.run.number},"status":${status},"headers":${toJson(list)},"immediate":${options.immediate === true}}`, body);
  writer.flush();
  return resolve(undefined);
};

/** E9: throws, so that user code may catch it. @param {Call} call */
const endOf = call => function $end(/** @type {any} */ message) {
  mustBeLive(call, '$end');
  const error = coded(new Error(''), 'SENDOFF_END');
  defineProperty(error, '__pd_end', { value: { message, ts: triggerContext(call.run).ts } });
  captureStackTrace(error, $end);
  throw error;
};

/** `$`, made when it is first asked for. @param {Call} call */
function dollarOf(call) {
  return call.dollar ??= {
    export: (/** @type {any} */ name, /** @type {any} */ value) => exportValue(call, name, value),
    respond: respondOf(call),
    end: endOf(call),
    send: call.$send,
    flow: {
      // Sets a flag: the rest of the step still runs (E9).
      exit(/** @type {any} */ reason) {
        call.run.exited = true;
        if (reason !== undefined) call.run.message = text(reason);
      },
    },
    get context() {
      const { run } = call;
      return { ...triggerContext(run), deadline: run.startedAt + run.frame.deadlineMs, run: { runs: run.frame.attempt ?? 1 }, JIT: false };
    },
  };
}

/** @param {Call} call @param {string} code @param {string} message @param {{ line: number | null, column: number | null }} [position] of the code that runs now, if not given */
function warn(call, code, message, position) {
  const key = `${code} ${message}`;
  call.warned ??= /** @type {any} */ ({ __proto__: null });
  const warned = /** @type {Record<string, number>} */ (call.warned);
  if (key in warned || call.run.over) return; // once a step, however often a loop does it
  warned[key] = 1;
  const { line, column } = position ?? userPosition(call.step);
  writer.json(WARNING, `{"run":${call.run.number},"step":${call.step.index},"code":"${code}","message":${toJson(message)},"line":${line},"column":${column}}`);
  if (!call.finished) writer.flush();
}

/** @param {string} level @param {string} line */
export function log(level, line) {
  const call = callingNow();
  if (call === null) { if (loading >= 0 && early.length < 1000) early[early.length] = [loading, level, line]; return; }
  if (call.run.over) return;
  const { run } = call;
  if (run.logBytes > limits.logBytes) return;
  run.logBytes += line.length * 3 < 4096 ? line.length : byteLength(line);
  if (run.logBytes > limits.logBytes) {
    level = 'warn';
    line = `the run's console output is over the limit of ${limits.logBytes} bytes (setting Runs:MaxLogBytes): the rest was dropped`;
  }
  writer.json(LOG, `{"run":${run.number},"step":${call.step.index},"level":"${level}","text":${toJson(line)},"at":${now()}}`);
  writer.flush();
}

/** @param {number} step the one being loaded, or -1 */
export function loadingStep(step) { loading = step; }

/** @param {Call} call */
function writeEarly(call) {
  const mine = early.filter(line => line[0] === call.step.index);
  early = early.filter(line => line[0] !== call.step.index);
  runWith(calls, call, () => { for (const [, level, line] of mine) log(level, line); });
}

/** The names that both step styles may use (A1), resolved to the step that asks. */
export function defineGlobals() {
  const orphan = { send: newSend(null) };
  const value = (/** @type {string} */ name, /** @type {(call: Call) => any} */ get, /** @type {any} */ without) => {
    defineProperty(globalThis, name, {
      configurable: true,
      get: () => { const call = callingNow(); return call === null ? without : get(call); },
      set(given) { defineProperty(globalThis, name, { value: given, writable: true, configurable: true }); },
    });
  };
  value('$send', call => call.$send, orphan.send);
  value('$respond', respondOf);
  value('$end', endOf);
  value('$', dollarOf, orphan);
  value('$event', call => call.event);
  defineProperty(globalThis, '$checkpoint', {
    configurable: true,
    get: () => callingNow()?.run.checkpoint,
    set(given) { const call = callingNow(); if (call !== null) call.run.checkpoint = given; },
  });
}
