// @ts-check
// Calls of a step to the server: `call` frames and their answers.
import { captureStackTrace, indexOf, later, slice, toJson } from './globals.mjs';
import { CALL, coded } from './frames.mjs';
import { mustBeLive, worker } from './step.mjs';

/** @typedef {{ call: import('./step.mjs').Call, id: number, head: string, args: string, ok: (value: any) => void,
 *  bad: (error: any) => void, trace: { stack?: string } }} Question */

const MOST_UNANSWERED = 64; // the server's limit
const Promised = Promise;

/** @type {Record<number, Question>} */ let asked = /** @type {any} */ ({ __proto__: null });
/** @type {Question[]} */ let held = [];
let heldFrom = 0, unanswered = 0, lastId = 0;

/** Writes the frame before it returns (B2), unless too many calls are unanswered.
 *  @param {import('./step.mjs').Call} call @param {string} what its name in errors @param {string} method
 *  @param {string} args JSON of an object
 *  @returns {Promise<any>} */
export function ask(call, what, method, args) {
  mustBeLive(call, what);
  const trace = {};
  captureStackTrace(trace, ask);
  const id = ++lastId;
  return new Promised((ok, bad) => {
    const question = {
      call, id, head: `{"run":${call.run.number},"step":${call.step.index},"id":${id},"method":${toJson(method)},"args":`, args,
      ok, bad, trace,
    };
    if (unanswered < MOST_UNANSWERED) write(question); else held[held.length] = question;
    call.asking++;
  });
}

/** @param {Question} question */
function write(question) {
  worker.writer.json(CALL, `${question.head}${question.args}}`);
  worker.writer.flush();
  asked[question.id] = question;
  question.args = '';
  unanswered++;
}

/** @param {{ id: number, value?: any, error?: { code: string, message: string } }} answer */
export function answered(answer) {
  const question = asked[answer.id];
  if (question === undefined) return;
  delete asked[answer.id];
  unanswered--;
  const { call } = question;
  call.asking--;
  if (answer.error === undefined) question.ok(answer.value); else question.bad(refusal(answer.error, question.trace));
  writeHeld();
  // After the awaiting code has continued and may have made another call.
  if (call.waiting) later(() => worker.afterReading(call, false));
}

function writeHeld() {
  while (heldFrom < held.length && unanswered < MOST_UNANSWERED) {
    const question = held[heldFrom++];
    try {
      write(question);
    } catch (error) {
      question.call.asking--;
      question.bad(error);
    }
  }
  if (heldFrom === held.length && heldFrom > 0) { held = []; heldFrom = 0; }
}

/** At the end of the run, no more answers arrive. */
export function forgetAsked() {
  if (unanswered === 0 && held.length === 0) return;
  asked = /** @type {any} */ ({ __proto__: null });
  held = [];
  heldFrom = unanswered = 0;
}

/** The error is thrown at the caller. @param {{ code: string, message: string }} error @param {{ stack?: string }} trace */
function refusal(error, trace) {
  const made = coded(new Error(error.message), error.code);
  const frames = `${trace.stack}`, at = indexOf(frames, '\n');
  made.stack = `Error: ${error.message}${at < 0 ? '' : slice(frames, at)}`;
  return made;
}
