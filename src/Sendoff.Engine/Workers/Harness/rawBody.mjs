// @ts-check
// The raw request: `steps.trigger.raw_event`, and `event.bodyRaw`.
import { Pattern, bufferFrom, decode, defineProperty, exec, indexOf, isUtf8, parseJson, slice } from './globals.mjs';

/** @typedef {import('./step.mjs').Call} Call */

/** `event.bodyRaw`: a string if the bytes are UTF-8, which encodes to the same bytes, otherwise a Buffer. Not enumerable.
 *  @param {Call} call */
export function addRawBody(call) {
  const { event } = call;
  if (event === null || typeof event !== 'object' || event.inferred_body_type === undefined || event.bodyRaw !== undefined) return;
  defineProperty(event, 'bodyRaw', {
    __proto__: null, configurable: true,
    get() { const bytes = rawBodyOf(call); return isUtf8(bytes) ? decode(bytes, 'utf8') : bytes; },
    set(value) { defineProperty(this, 'bodyRaw', { __proto__: null, value, enumerable: true, configurable: true, writable: true }); },
  });
}

/** `steps.trigger.raw_event`. @param {Call} call */
export function rawEventOf(call) {
  const { method, url, headers, client_ip, path } = call.event ?? {};
  let uri, scheme;
  try {
    const parsed = new URL(url);
    // The path after the key: in Pipedream the key is part of the host.
    const behind = exec(/^\/hooks\/[^/]+(.*)$/, parsed.pathname);
    uri = (behind === null ? parsed.pathname : behind[1] === '' ? '/' : behind[1]) + parsed.search;
    scheme = slice(parsed.protocol, 0, -1);
  } catch { uri = path; }
  return {
    method, uri, scheme, client_ip, headers: headers === undefined ? undefined : { ...headers },
    body_b64: decode(rawBodyOf(call), 'base64'),
  };
}

/** The bytes of the body. The server sends them if they cannot be derived from `body`: JSON is unchanged in the frame, text and Base64
 *  are in the body.
 *  @param {Call} call @returns {Buffer} */
export function rawBodyOf(call) {
  const { frame } = call.run;
  if (frame.raw !== undefined) return bufferFrom(frame.raw, 'base64');
  const body = frame.event?.body, type = frame.event?.inferred_body_type;
  if (body === undefined || body === null) return bufferFrom('');
  // An event that was created manually may have a body without a type.
  if (typeof body === 'string' && type !== 'JSON') return bufferFrom(body, type === 'BASE64' ? 'base64' : 'utf8');
  return bufferFrom(member(member(frame.json, 'event'), 'body'));
}

const OPEN = new Pattern('\\s*\\{', 'y'), KEY = new Pattern('\\s*("(?:[^"\\\\]|\\\\[^])*")\\s*:', 'y'),
  MARK = new Pattern('["{}\\[\\],]', 'g');

/** @param {RegExp} pattern @param {string} json @param {number} at */
function find(pattern, json, at) {
  pattern.lastIndex = at;
  return exec(pattern, json);
}

/** The text of a member of an object, with the white space around it. If a name is repeated, the last one is used. @param {string} json
 *  @param {string} name */
function member(json, name) {
  let at = find(OPEN, json, 0)?.[0].length ?? json.length, found = '';
  for (let key = find(KEY, json, at); key !== null; key = find(KEY, json, at)) {
    const start = at + key[0].length, end = endOfValue(json, start);
    if (parseJson(key[1]) === name) found = slice(json, start, end);
    at = end + 1;
  }
  return found;
}

/** The index after the value that begins at `at`. @param {string} json @param {number} at */
function endOfValue(json, at) {
  let depth = 0;
  for (let mark = find(MARK, json, at); mark !== null; mark = find(MARK, json, at)) {
    const sign = mark[0];
    if (depth === 0 && (sign === ',' || sign === '}')) return mark.index;
    if (sign === '{' || sign === '[') depth++;
    else if (sign === '}' || sign === ']') depth--;
    at = sign === '"' ? endOfString(json, mark.index) : mark.index + 1;
  }
  return json.length;
}

/** The index after the string that begins at `at`. @param {string} json @param {number} at */
function endOfString(json, at) {
  for (let end = indexOf(json, '"', at + 1); end >= 0; end = indexOf(json, '"', end + 1)) {
    let escapes = 0;
    while (json[end - 1 - escapes] === '\\') escapes++;
    if (escapes % 2 === 0) return end + 1;
  }
  return json.length;
}
