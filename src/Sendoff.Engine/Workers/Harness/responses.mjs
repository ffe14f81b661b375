// @ts-check
// Detects code that reads the response of a send, which does not exist yet (A8), from its error and its source.
import { Pattern, exec, join, slice, split } from './globals.mjs';

export const NO_RESPONSE = 'the response does not exist yet: $send sends after the run and returns undefined. '
  + 'Use axios or fetch where you need the response';
const SENT = String.raw`(?:await\s+)?\$\.?send\.(?:http|email|emit|sse|s3)\b`;
/** A function that returns the result of a send, so that the reader is elsewhere. */
const HANDED_ON = new Pattern(String.raw`(?:=>\s*\(?\s*|\breturn\s+\(?\s*)${SENT}`);
const CALL = new Pattern(String.raw`${SENT}\s*\(`, 'g');

/** Bundles and sources with hundreds of sends are not analysed, because this would take as long as the rest of the load. */
const LONGEST_SOURCE = 256 * 1024, MOST_CALLS = 100;

/** Whether an error names a field of responses. @param {string} message */
const isOfResponse = message => exec(/\(reading '(?:status|statusCode|statusText|data|body|headers|ok|json|text)'\)$/, message) !== null;

/** The position where the source reads the result of a send: from a variable, or from the call. @param {string} source
 *  @returns {number} the index of the reader, or -1 */
export function responseRead(source) {
  if (source.length > LONGEST_SOURCE || exec(/\$\.?send\s*\./, source) === null) return -1;
  const code = withoutTexts(source);
  CALL.lastIndex = 0;
  for (let call = exec(CALL, code), calls = 0; call !== null && calls < MOST_CALLS; call = exec(CALL, code), calls++) {
    const at = call.index, end = closing(code, at + call[0].length - 1), before = slice(code, at > 200 ? at - 200 : 0, at);
    if (end < 0) return -1;
    if (exec(/[}\]]\s*=\s*\(?\s*$/, before) !== null) return at;
    const assigned = exec(/(?:^|[^\w$.])([A-Za-z_$][\w$]*)\s*=\s*\(?\s*$/, before);
    const reader = assigned === null ? -1 : readerOf(assigned[1], code, end + 1);
    if (reader >= 0) return reader;
    const behind = exec(/^(?:\s*\))*\s*(?:\?\.|\.|\[)/, slice(code, end + 1, end + 200));
    if (behind !== null && isItsOwn(before, behind[0])) return end + behind[0].length;
  }
  return -1;
}

/** Whether each parenthesis that closes after a call was opened directly before it: `(await $send.http(…)).data`, but not
 *  `f($send.http(…)).data`. @param {string} before @param {string} behind */
function isItsOwn(before, behind) {
  const opened = exec(/(?:^|[^\w$\s)\]]|(?:^|[^\w$])(?:return|await|of|in))\s*((?:\(\s*(?:await\s+)?)*)$/, before);
  return split(behind, ')').length <= split(opened?.[1] ?? '', '(').length;
}

/** The position where a field of a variable is read, or the variable is returned. @param {string} name @param {string} code
 *  @param {number} from @returns {number} */
function readerOf(name, code, from) {
  const escapedName = join(split(name, '$'), '\\$');
  const found = exec(
    new Pattern(String.raw`(?:[^\w$.]|\.\.\.)${escapedName}\s*(?:\?\.|\.|\[)|\breturn\s+${escapedName}\s*(?:[;\n}]|$)`), slice(code, from));
  return found === null ? -1 : from + found.index + (exec(/^return/, found[0]) === null ? 1 : 7);
}

/** The index of the parenthesis that closes the one at `open`; -1 if there is none. @param {string} code @param {number} open */
function closing(code, open) {
  for (let i = open, depth = 0; i < code.length; i++) {
    if (code[i] === '(') depth++;
    else if (code[i] === ')' && --depth === 0) return i;
  }
  return -1;
}

/** The source with comments and strings replaced by spaces, with the same length. @param {string} source */
function withoutTexts(source) {
  let code = '', at = 0;
  for (let rest = source; ; rest = slice(source, at)) {
    const found = exec(/\/\/[^\n]*|\/\*[^]*?\*\/|'(?:[^'\\\n]|\\[^])*'|"(?:[^"\\\n]|\\[^])*"|`(?:[^`\\]|\\[^])*`/, rest);
    if (found === null) return code + rest;
    code += slice(rest, 0, found.index);
    for (let i = 0; i < found[0].length; i++) code += found[0][i] === '\n' ? '\n' : ' ';
    at += found.index + found[0].length;
  }
}

/** Line and column of an index. @param {string} source @param {number} at @returns {{ line: number, column: number }} */
export function positionOf(source, at) {
  const lines = split(slice(source, 0, at), '\n');
  return { line: lines.length, column: lines[lines.length - 1].length + 1 };
}

/** Whether the `undefined` in the error is the result of a send. @param {import('./errors.mjs').Described} error
 *  @param {string} source */
export function failsOnResponse(error, source) {
  const { message } = error;
  const reads = exec(/^Cannot read properties of undefined/, message) !== null;
  const destructured = exec(
    /^Cannot destructure property .* of '(.*)' as it is undefined|^(.*) is not iterable|^(.*) is not a function or its return value is not iterable/, message);
  if (!reads && destructured === null) return false;
  const lines = split(source, '\n');
  let at = /** @type {number} */ (error.column) - 1;
  for (let i = 0; i < /** @type {number} */ (error.line) - 1 && i < lines.length; i++) at += lines[i].length + 1;
  const before = slice(source, 0, at), after = slice(source, at);
  if (reads && isOfResponse(message) && exec(HANDED_ON, source) !== null) return true;

  if (destructured !== null) {
    const subject = destructured[1] ?? destructured[2] ?? destructured[3];
    if (exec(/^[A-Za-z_$][\w$]*$/, subject) !== null && subject !== 'undefined') return assignedFromSend(subject, source);
    if (exec(new Pattern(`^${SENT}`), after) !== null || exec(new Pattern(`^[^=;]*=\\s*\\(?\\s*${SENT}`), after) !== null) return true;
    const variable = exec(/^[^=;]*=\s*(?:await\s+)?([A-Za-z_$][\w$]*)\s*[;\n]/, after);
    return variable !== null && assignedFromSend(variable[1], source);
  }
  const access = exec(/\s*(?:\.|\[)\s*['"`]?$|\s+$/, before);
  const target = access === null ? before : slice(before, 0, access.index);
  if (target[target.length - 1] === ')') {
    const open = opening(target);
    return exec(new Pattern(`^\\(\\s*${SENT}`), slice(target, open)) !== null
      || exec(/\$\.?send\.(?:http|email|emit|sse|s3)\s*$/, slice(target, 0, open)) !== null;
  }
  const variable = exec(/(?:^|[^\w$.])([A-Za-z_$][\w$]*)$/, target);
  return variable !== null && assignedFromSend(variable[1], source);
}

/** @param {string} name @param {string} source */
function assignedFromSend(name, source) {
  const escapedName = join(split(name, '$'), '\\$');
  return exec(new Pattern(`(?:^|[^\\w$.])${escapedName}\\s*=\\s*\\(?\\s*${SENT}`), source) !== null;
}

/** The index of the parenthesis that the last one closes. @param {string} value */
function opening(value) {
  for (let i = value.length - 1, depth = 0; i >= 0; i--) {
    if (value[i] === ')') depth++;
    else if (value[i] === '(' && --depth === 0) return i;
  }
  return 0;
}
