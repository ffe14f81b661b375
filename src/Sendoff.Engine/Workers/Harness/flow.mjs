// @ts-check
// $.flow (B3): suspends, delays, repeats or ends a run after a step. The resume and cancel URLs are signed here, with the key of the
// load frame.
import { createRequire } from 'node:module';
import { captureStackTrace, text, toJson } from './globals.mjs';
import { coded } from './frames.mjs';
import { show } from './send.mjs';
import { mustBeLive, worker } from './step.mjs';

/** @typedef {import('./step.mjs').Call} Call */
/** The request of a step; its last call is used.
 *  @typedef {{ kind: 'suspend' | 'delay' | 'rerun', ms: number, context: string, most: number }} Hold */

const DAY_MS = 24 * 60 * 60 * 1000, YEAR_MS = 365 * DAY_MS;
const require = createRequire(import.meta.url);

/** @param {Call} call */
export function flowOf(call) {
  return {
    // Sets a flag: the rest of the step still runs (E9).
    exit(/** @type {any} */ reason) {
      call.run.exited = true;
      if (reason !== undefined) call.run.message = text(reason);
    },
    suspend: function suspend(/** @type {any} */ ms = DAY_MS, /** @type {any} */ context) {
      return hold(call, suspend, 'suspend', ms, context);
    },
    delay: function delay(/** @type {any} */ ms, /** @type {any} */ context) { return hold(call, delay, 'delay', ms, context); },
    rerun: function rerun(/** @type {any} */ ms, /** @type {any} */ context, /** @type {any} */ maxRetries = 10) {
      return hold(call, rerun, 'rerun', ms, context, maxRetries);
    },
  };
}

/** @param {Call} call @param {Function} caller @param {Hold['kind']} kind @param {any} ms @param {any} context @param {any} [most] */
function hold(call, caller, kind, ms, context, most = 0) {
  const what = `$.flow.${kind}`;
  const fail = (/** @type {any} */ value, /** @type {string} */ path, /** @type {string} */ hint) => {
    const error = coded(new Error(`${what}: invalid value ${show(value)} for ${path} (${hint})`), 'SENDOFF_INVALID_FLOW');
    captureStackTrace(error, caller);
    throw error;
  };
  mustBeLive(call, what);
  const time = +ms;
  if (typeof ms === 'object' || !(time >= 1 && time <= YEAR_MS)) fail(ms, 'ms', 'milliseconds, from 1 to a year');
  if (!(+most >= 0)) fail(most, 'maxRetries', 'a number from 0');
  let json;
  try { json = context === undefined || context === null ? '' : toJson(context); } catch { /* said below */ }
  if (json === undefined) fail(context, 'context', 'it has no JSON form');
  call.hold = { kind, ms: time, context: /** @type {string} */ (json), most: +most };
  return { resume_url: address(call, 'resume'), cancel_url: address(call, 'cancel') };
}

/** @param {Call} call @param {'resume' | 'cancel'} what */
function address(call, what) {
  const { origin, key } = worker.flow, { id } = call.run.frame;
  const sign = require('node:crypto').createHmac('sha256', key).update(`${what} ${id}`).digest('base64url').slice(0, 22);
  return `${origin}/${what}/${id}/${sign}`;
}

/** The suspension of the run after this step, for the server; empty if there is none. @param {Call} call */
export function holdJson(call) {
  const { hold, run, step } = call;
  if (hold === null || run.exited) return '';
  const runs = runsOf(call);
  if (hold.kind === 'rerun' && runs > hold.most) return '';
  const context = hold.context === '' ? '' : `,"context":${hold.context}`;
  return `,"hold":{"kind":"${hold.kind}","step":${step.index},"ms":${hold.ms},"runs":${hold.kind === 'rerun' ? runs + 1 : 1}${context}}`;
}

/** Number of starts of the step, including this one. @param {Call} call */
const runsOf = ({ run, step }) => run.resume !== null && run.resume.from === step.index ? run.resume.runs : 1;

/** `$.context.run`. @param {Call} call */
export function runContext(call) {
  const { resume } = call.run;
  return { runs: runsOf(call), context: resume?.context, callback_request: resume?.callback };
}
