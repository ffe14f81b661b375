// @ts-check
// What a step can call while it executes: $send, $, $end, exports, warnings and logs.
import {
  AsyncLocalStorage, byteLength, bufferFrom, captureStackTrace, clock, defineProperty, isFetchResponse, isoDate, now, runWith, slice,
  split, storeOf, text, then, toJson, types,
} from './globals.mjs';
import { DESTINATIONS } from './destinations.mjs';
import { EXPORT, LOG, SEND, WARNING, coded } from './frames.mjs';
import { userPosition } from './errors.mjs';
import { attachmentsOf } from './attachments.mjs';
import { rawEventOf } from './rawBody.mjs';
import { directory } from './files.mjs';
import { flowOf, runContext } from './flow.mjs';
import { layGlobal } from './fresh.mjs';
import { asData, plainPartOf } from './plain.mjs';
import { headerBytes } from './httpSyntax.mjs';
import { respondOf } from './respond.mjs';
import { encodeSend, partsBytes, readParts } from './send.mjs';

/** @typedef {import('./load.mjs').Step} Step */
/** @typedef {import('./run.mjs').Run} Run */
/** @typedef {{ sends: number, bodyBytes: number, urlBytes: number, headerBytes: number, sendBytes: number, logBytes: number,
 *  valueBytes: number, emailTo?: boolean }} Limits `sendBytes` is over all sends of a run */

/** The shared state of this worker's steps.
 *  @type {{ writer: import('./frames.mjs').FrameWriter, workflow: { id?: string, name?: string, version?: any, owner?: string,
 *  customResponse?: boolean, endpoint?: string }, limits: Limits, accountsJson: string, asksAccounts: boolean,
 *  attachments: Record<string, string>, current: Call | null, loading: number, flow: { origin: string, key: Buffer },
 *  afterReading: (call: Call, failed: boolean, error?: any) => void
 *  }} `endpoint` is the URL of an event source
 *  `loading` is the step whose file is being loaded, or -1; `accountsJson` is by app and field, empty if there are none;
 *  `asksAccounts` is true if the server has more accounts */
export const worker = {
  writer: /** @type {any} */ (null), workflow: {},
  limits: {
    sends: 1000, bodyBytes: 1024 * 1024, urlBytes: 8192, headerBytes: 65536, sendBytes: 64 * 1024 * 1024, logBytes: 1024 * 1024,
    valueBytes: 6 * 1024 * 1024,
  },
  accountsJson: '', asksAccounts: false, attachments: {}, current: null, loading: -1, flow: { origin: '', key: bufferFrom('') },
  afterReading() {},
};
export const calls = new AsyncLocalStorage();
/** Console output of modules while they load belongs to the first run. @type {[step: number, level: string, text: string][]} */
let early = [];

/** By step. @type {(import('./fresh.mjs').Assigned | undefined)[]} */ const assignedByModules = [];

/** One call of one step. */
export class Call {
  settled = false;
  finished = false;
  waiting = false;
  failed = false;
  /** @type {any} */ error = undefined;
  /** `,"name":json` of values reported in export frames, and of values for stepEnd. */
  reported = '';
  own = '';
  sends;
  /** The request to $.flow. @type {import('./flow.mjs').Hold | null} */ hold = null;
  /** Bodies whose Blobs are being read. */
  reading = 0;
  /** Unanswered calls to the server. */
  asking = 0;
  /** Data kept between runs. @type {import('./stores.mjs').Kept | null} */ kept = null;
  started = clock();
  ended = 0;
  /** @type {Record<string, number> | null} */ warned = null;
  /** @type {any} */ self = null;
  /** @type {any} */ dollar = null;
  /** @type {any} */ event = undefined;
  /** @type {any} */ $send = null;
  /** The recorded values of the props, JSON; empty if there are none. */
  inputs = '';
  /** Accounts whose fields are secrets. @type {Record<string, Record<string, string>> | null} */ accounts = null;
  /** Accounts from the server. @type {{ accounts: import('./accounts.mjs').Given[], all: any[] } | null} */ given = null;
  /** The error of the server. @type {any} */ notGiven = null;
  /** @type {import('./fresh.mjs').Assigned | null} */ assigned;

  /** @param {Run} run @param {Step} step */
  constructor(run, step) {
    this.run = run;
    this.step = step;
    this.assigned = assignedByModules[step.index] ?? null;
    this.sends = run.resume !== null && run.resume.from === step.index ? run.resume.sends : 0;
  }
}

/** @param {Run} run */
export function triggerContext(run) {
  const { frame } = run;
  const { workflow } = worker;
  const ts = typeof frame.ts === 'number' ? isoDate(new Date(frame.ts)) : frame.ts;
  return {
    id: frame.id, ts, workflow_id: workflow.id, workflow_name: workflow.name, deployment_id: workflow.version,
    owner_id: workflow.owner ?? null, emitter_id: null,
    trace_id: run.resume?.trace ?? frame.id, platform_version: 'sendoff', replay: frame.replay === true, verified: false, hops: null,
    test: false,
    attachments: { ...worker.attachments }, ...frame.context,
  };
}

/** @param {any} object @param {string} key @param {any} value */
export function lazily(object, key, value) {
  defineProperty(object, key, { __proto__: null, value, enumerable: true, configurable: true, writable: true });
  return value;
}

/** `steps.trigger`. @param {Call} call */
export function triggerOf(call) {
  const trigger = { event: call.event, get context() { return lazily(this, 'context', triggerContext(call.run)); } };
  // Not enumerable: it repeats the event in steps that send or return the whole trigger.
  return defineProperty(trigger, 'raw_event', {
    __proto__: null, configurable: true, get() { return lazily(this, 'raw_event', rawEventOf(call)); },
  });
}

/** The call of the executing code. A callback without a context belongs to the current run. @returns {Call | null} */
const callingNow = () => storeOf(calls) ?? worker.current;

/** @param {Call | null} call @param {string} what @returns {asserts call is Call} */
export function mustBeLive(call, what) {
  if (call === null) throw coded(new Error(`${what} was called while no run was executing`), 'SENDOFF_RUN_ENDED');
  if (call.run.over)
    throw coded(
      new Error(`${what} was called after its run had ended: nothing was sent. Await all promises in the step`), 'SENDOFF_RUN_ENDED');
}

/** Each step gets a new one (E9). @param {Call | null} call */
export function newSend(call) {
  return {
    http: sender(call, '$send.http', (args, warn) => encodeSend(args[0], warn)),
    email: sender(call, '$send.email', DESTINATIONS.email),
    emit: sender(call, '$send.emit', DESTINATIONS.emit),
    sse: sender(call, '$send.sse', DESTINATIONS.sse),
    s3: sender(call, '$send.s3', DESTINATIONS.s3),
  };
}

/** @param {Call | null} call @param {string} name @param {import('./destinations.mjs').Encoder} encode */
export const sender = (call, name, encode) => function send(/** @type {any[]} */ ...args) {
  try {
    mustBeLive(call, name);
    write(call, name, args, encode);
  } catch (error) {
    if (/** @type {any} */ (error)?.code?.startsWith?.('SENDOFF_')) captureStackTrace(/** @type {any} */ (error), send);
    throw error;
  }
};

/** A3: copies the arguments, and writes the send to the server before it returns (B2). @param {Call} call @param {string} name
 *  @param {any[]} args
 *  @param {import('./destinations.mjs').Encoder} encode */
function write(call, name, args, encode) {
  const { run } = call, { limits } = worker;
  if (run.sends >= limits.sends) throw overLimit(name, 'TOO_MANY_SENDS', `more than ${limits.sends} sends in a run`, 'MaxPerRun');
  const request = encode(args, (code, message) => warn(call, code, message), limits.emailTo === true);
  const headBytes = checkHead(name, request), left = limits.sendBytes - run.sendBytes - headBytes;
  if (left < 0) throw sendsTooLarge(name);
  const most = left < limits.bodyBytes ? left : limits.bodyBytes;
  const start = `{"run":${run.number},"step":${call.step.index},"index":`;
  const end = `,"method":${toJson(request.method)},"url":${toJson(request.url)},"headers":${headersJson(request.headers)}}`;
  const parts = request.parts;
  const bytes = parts === null ? worker.writer.withBody(SEND, `${start}${call.sends}${end}`, request.body, most) : partsBytes(parts);
  if (bytes > limits.bodyBytes)
    throw overLimit(name, 'BODY_TOO_LARGE', `the body has ${bytes} bytes or more, over the limit of ${limits.bodyBytes}`, 'MaxBodyBytes');
  if (bytes > most) throw sendsTooLarge(name);
  // The exception to B2: the immutable bytes of a Blob can only be read asynchronously. The send keeps its index,
  // and the step does not end before the send is written.
  if (parts === null) worker.writer.flush(); else readThenSend(call, `${start}${call.sends}${end}`, parts);
  call.sends++;
  run.sends++;
  run.sendBytes += headBytes + bytes;
}

/** What makes the URL of other destinations long. @type {Record<string, string>} */
const URL_PARTS = /** @type {any} */ ({
  __proto__: null, '$send.emit': 'the URL of the channel has', '$send.sse': 'the URL of the channel has',
  '$send.s3': 'the URL of the bucket and the prefix has',
});

/** A9: URL and headers. @param {string} name @param {import('./send.mjs').Send} request
 *  @returns {number} bytes of all but the body, counted like `HttpSend.Bytes` */
function checkHead(name, request) {
  const { limits } = worker, url = request.url.length, headers = headerBytes(request.headers);
  if (url > limits.urlBytes)
    throw overLimit(
      name, 'URL_TOO_LARGE', `${URL_PARTS[name] ?? 'the URL has'} ${url} bytes, over the limit of ${limits.urlBytes}`, 'MaxUrlBytes');
  if (headers > limits.headerBytes)
    throw overLimit(
      name, 'HEADERS_TOO_LARGE', `the headers have ${headers} bytes in all, over the limit of ${limits.headerBytes}`, 'MaxHeaderBytes');
  return request.method.length + url + headers;
}

/** @param {string} name @param {string} code @param {string} what @param {string} setting */
const overLimit = (name, code, what, setting) => coded(new Error(`${name}: ${what} (setting Sends:${setting})`), `SENDOFF_${code}`);
/** @param {string} name */
const sendsTooLarge = name =>
  overLimit(name, 'SENDS_TOO_LARGE', `with this one, the run's sends have more than ${worker.limits.sendBytes} bytes in all`,
    'MaxBytesPerRun');

/** Built manually, because a step may have added toJSON to Array.prototype. @param {[string, string][]} headers */
export function headersJson(headers) {
  let json = '[';
  for (let i = 0; i < headers.length; i++) json += `${i === 0 ? '' : ','}[${toJson(headers[i][0])},${toJson(headers[i][1])}]`;
  return `${json}]`;
}

/** @param {Call} call @param {string} head @param {(string | Blob)[]} parts */
function readThenSend(call, head, parts) {
  call.reading++;
  then(readParts(parts), body => {
    worker.writer.withBody(SEND, head, body);
    worker.writer.flush();
    call.reading--;
    worker.afterReading(call, false);
  }, error => {
    call.reading--;
    worker.afterReading(call, true, error);
  });
}

/** @param {Call} call @param {string} name @param {any} value @returns {string} `,"name":json`, or nothing */
export function exportJson(call, name, value) {
  if (value === undefined) return '';
  let json, why = 'it has no JSON form';
  try {
    json = types.isPromise(value) ? undefined : toJson(asData(value));
    if (types.isPromise(value)) why = 'it is a Promise: await it first';
    else if (isFetchResponse(value))
      warn(call, 'export_not_serialisable',
        `the value of ${name} is a response of fetch, and was exported without its body: return await response.json() or response.text()`);
  } catch (error) {
    try { why = split(text(/** @type {any} */ (error).message), '\n')[0]; } catch { /* a hostile toJSON */ }
    json = plainJson(call, name, value);
  }
  if (json === undefined) {
    warn(call, 'export_not_serialisable', `the value of ${name} was left out, as only JSON passes between steps: ${why}`);
    return '';
  }
  const bytes = json.length * 3 <= worker.limits.valueBytes ? 0 : byteLength(json);
  if (bytes > worker.limits.valueBytes)
    throw coded(
      new Error(`the value of ${name} has ${bytes} bytes, over the limit of ${worker.limits.valueBytes} (setting Runs:MaxExportBytes)`),
      'SENDOFF_VALUE_TOO_LARGE');
  return `,${toJson(name)}:${json}`;
}

/** The plain data in a value that is not completely JSON, such as a response of axios. @param {Call} call @param {string} name
 *  @param {any} value */
function plainJson(call, name, value) {
  try {
    if (typeof value !== 'object') return undefined;
    const { copy, left } = plainPartOf(value), json = toJson(copy);
    if (json === '{}' || json === '[]') return undefined;
    warn(call, 'export_not_serialisable',
      `of the value of ${name}, ${left} was left out, as only JSON passes between steps: return the fields that you need`);
    return json;
  } catch {
    return undefined; // a hostile value
  }
}

/** @param {Call} call @param {any} name @param {any} value */
function exportValue(call, name, value) {
  mustBeLive(call, '$.export');
  const json = exportJson(call, text(name), value);
  if (json === '') return;
  const key = toJson(text(name));
  worker.writer.json(EXPORT, `{"run":${call.run.number},"step":${call.step.index},"name":${key},"value":${slice(json, key.length + 2)}}`);
  worker.writer.flush();
  call.reported += json;
}

/** E9: throws, so that user code may catch it. @param {Call} call */
export const endOf = call => function $end(/** @type {any} */ message) {
  mustBeLive(call, '$end');
  const error = coded(new Error(''), 'SENDOFF_END');
  defineProperty(error, '__pd_end', { __proto__: null, value: { message, ts: triggerContext(call.run).ts } });
  captureStackTrace(error, $end);
  throw error;
};

/** `$`, created at its first use. @param {Call} call */
export function dollarOf(call) {
  return call.dollar ??= {
    export: (/** @type {any} */ name, /** @type {any} */ value) => exportValue(call, name, value),
    respond: respondOf(call),
    end: endOf(call),
    send: call.$send,
    get files() { return lazily(this, 'files', directory()); },
    flow: flowOf(call),
    get context() {
      const { run } = call;
      return { ...triggerContext(run), deadline: run.startedAt + run.frame.deadlineMs, run: runContext(call), JIT: false };
    },
  };
}

/** @param {Call} call @param {string} code @param {string} message
 *  @param {{ line: number | null, column: number | null }} [position] default: the position of the executing code */
export function warn(call, code, message, position) {
  const key = `${code} ${message}`;
  call.warned ??= /** @type {any} */ ({ __proto__: null });
  const warned = /** @type {Record<string, number>} */ (call.warned);
  if (key in warned || call.run.over) return; // once per step, also in a loop
  warned[key] = 1;
  const { line, column } = position ?? userPosition(call.step);
  worker.writer.json(WARNING, `{"run":${call.run.number},"step":${call.step.index},"code":"${code}",`
    + `"message":${toJson(message)},"line":${line},"column":${column}}`);
  if (!call.finished) worker.writer.flush();
}

/** @param {string} level @param {string} line */
export function log(level, line) {
  const call = callingNow();
  if (call === null) { if (worker.loading >= 0 && early.length < 1000) early[early.length] = [worker.loading, level, line]; return; }
  if (call.run.over) return;
  const { run } = call;
  if (run.logBytes > worker.limits.logBytes) return;
  run.logBytes += line.length * 3 < 4096 ? line.length : byteLength(line);
  if (run.logBytes > worker.limits.logBytes) {
    level = 'warn';
    line = `the run's console output is over the limit of ${worker.limits.logBytes} bytes (setting Runs:MaxLogBytes): the rest was dropped`;
  }
  worker.writer.json(LOG, `{"run":${run.number},"step":${call.step.index},"level":"${level}","text":${toJson(line)},"at":${now()}}`);
  worker.writer.flush();
}

/** @param {Call} call */
export function writeEarly(call) {
  if (early.length === 0) return;
  const mine = early.filter(line => line[0] === call.step.index);
  early = early.filter(line => line[0] !== call.step.index);
  runWith(calls, call, () => { for (const [, level, line] of mine) log(level, line); });
}

/** Global names for all styles of steps (A1), resolved for the calling step. @param {Record<string, any>} constants by name */
export function defineGlobals(constants) {
  const orphan = { send: newSend(null) };
  const lay = (/** @type {string} */ name, /** @type {(call: Call) => any} */ get, /** @type {any} */ without = undefined) =>
    layGlobal(name, () => { const call = callingNow(); return call === null ? without : get(call); }, () => callingNow()?.assigned ?? null,
      assignGlobal);
  lay('$send', call => call.$send, orphan.send);
  lay('$respond', respondOf);
  lay('$end', endOf);
  lay('$', dollarOf, orphan);
  lay('$event', call => call.event);
  lay('$attachments', call => call.run.attachments ??= attachmentsOf(call), {});
  for (const name in constants) lay(name, () => constants[name], constants[name]);
  layGlobal('$checkpoint', () => callingNow()?.run.checkpoint, () => null,
    (_, value) => { const call = callingNow(); if (call !== null) call.run.checkpoint = value; });
}

/** A value that a module assigns while it is loaded belongs to the loading step. @param {string} name @param {any} value */
function assignGlobal(name, value) {
  const call = callingNow();
  if (call !== null) call.assigned = /** @type {any} */ ({ __proto__: null, ...call.assigned, [name]: value });
  else if (worker.loading >= 0)
    assignedByModules[worker.loading] = /** @type {any} */ ({ __proto__: null, ...assignedByModules[worker.loading], [name]: value });
}
