// @ts-check
// $send.email, .emit, .sse and .s3 (F7): converts a call to a request with the kind in the URL and the payload as the body.
import { coded } from './frames.mjs';
import {
  codeAt, encodeComponent, exec, hasOwn, indexOf, isArray, join, keys, now, slice, split, text, toJson, trim, wellFormed,
} from './globals.mjs';
import { invalid, refuse, show } from './send.mjs';

/** @typedef {import('./send.mjs').Send} Send */
/** @typedef {(code: string, message: string) => void} Warn */
/** @typedef {(args: any[], warn: Warn, emailTo: boolean) => Send} Encoder */

const ADDRESS = /^[^\s@<>,;"]+@[^\s@<>,;"]+$/;
const TEXTS = ['subject', 'text', 'html'];
const CONTROL = /[\x00-\x1f\x7f]/;
/** Maximum JSON depth of an event for a listening workflow. */
const MAX_DEPTH = 1000;

/** Options of email that do not exist (A8). @type {Record<string, string>} */
const EMAIL = /** @type {any} */ ({
  __proto__: null, body: 'did you mean `text` or `html`?', message: 'did you mean `text`?', content: 'did you mean `text` or `html`?',
  title: 'did you mean `subject`?', from: 'mails come from the address in the setting Smtp:From',
  cc: 'only `to` names receivers', bcc: 'only `to` names receivers', attachments: 'not supported: put a link into the text',
  include_collaborators: 'there are no collaborators here',
});
/** The same for s3. @type {Record<string, string>} */
const S3 = /** @type {any} */ ({
  __proto__: null, key: 'objects get their names from `prefix`, the time and the send', data: 'did you mean `payload`?',
  body: 'did you mean `payload`?',
});
/** @type {Record<string, string>} */
const OPTIONS = /** @type {any} */ ({
  __proto__: null, email: '{ subject, text }', sse: '{ channel, payload }', s3: '{ bucket, prefix, payload }',
});
const TO = 'mails go to the address in the setting Smtp:To. The setting Smtp:AllowTo lets steps choose others, such as *@example.com';

/** @type {Record<string, Encoder>} */
export const DESTINATIONS = {
  // @ts-ignore a table without a prototype
  __proto__: null,
  email(args, warn, emailTo) {
    const given = record(args[0], 'email');
    for (let i = 0; i < TEXTS.length; i++) if (given[TEXTS[i]] !== undefined && typeof given[TEXTS[i]] !== 'string')
      throw fail('email', given[TEXTS[i]], TEXTS[i]);
    const to = given.to === undefined || given.to === null ? undefined : receivers(given.to);
    if (to !== undefined && !emailTo)
      warn('unknown_send_option', `$send.email has no option \`to\` on this server, so it was ignored: ${TO}`);
    warnOfOthers('email', given, ['subject', 'text', 'html', 'to'], EMAIL, warn);
    const mail = { subject: clean(given.subject), text: clean(given.text), html: clean(given.html), to: emailTo ? to : undefined };
    return request('email:', jsonOf('email', mail, ''), true);
  },
  emit(args, warn) {
    let event = args[0], channel = args[1];
    if (args.length === 1 && isOldEmit(event)) {
      if (event.raw_event === null || typeof event.raw_event !== 'object') throw fail('emit', event.raw_event, 'raw_event');
      if (event.event !== undefined)
        warn('unknown_send_option', '$send.emit was given `event` and `raw_event`: listeners get `event`, so `raw_event` was left out');
      event = event.event ?? event.raw_event;
    }
    if (channel === null) channel = undefined;
    if (channel !== undefined && typeof channel !== 'string') throw fail('emit', channel, 'channel');
    if (event === null) throw fail('emit', event, 'event');
    return request(`emit:${encodeComponent(wellFormed(channel ?? ''))}`, jsonOf('emit', event, 'event', true), true);
  },
  sse(args, warn) {
    const given = record(args[0], 'sse');
    if (typeof given.channel !== 'string') throw fail('sse', given.channel, 'channel');
    if (exec(CONTROL, given.channel) !== null)
      throw fail('sse', given.channel, 'channel', 'it cannot hold line breaks and control characters');
    if (given.payload === null || (typeof given.payload !== 'string' && typeof given.payload !== 'object'))
      throw fail('sse', given.payload, 'payload');
    const body = payloadOf('sse', given.payload, true);
    warnOfOthers('sse', given, ['channel', 'payload'], {}, warn);
    return request(`sse:${encodeComponent(wellFormed(given.channel))}`, body, typeof given.payload !== 'string');
  },
  s3(args, warn) {
    const given = record(args[0], 's3');
    if (typeof given.bucket !== 'string' || exec(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, given.bucket) === null)
      throw fail('s3', given.bucket, 'bucket');
    if (typeof given.prefix !== 'string' || given.prefix.length > 512) throw fail('s3', given.prefix, 'prefix');
    /** @type {string[]} */ const path = [];
    const segments = split(given.prefix, '/');
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i];
      if (segment === '') continue;
      if (segment === '.' || segment === '..' || exec(CONTROL, segment) !== null)
        throw fail('s3', given.prefix, 'prefix', 'it cannot hold `.`, `..` and control characters');
      path[path.length] = encodeComponent(wellFormed(segment));
    }
    if (given.payload === undefined || given.payload === null) throw fail('s3', given.payload, 'payload');
    const body = payloadOf('s3', given.payload);
    warnOfOthers('s3', given, ['bucket', 'prefix', 'payload'], S3, warn);
    return request(`s3://${given.bucket}/${join(path, '/')}`, body, typeof given.payload !== 'string');
  },
};

/** An event of a source, with its id, summary and time. @param {string} source @param {any[]} args @returns {Send} */
export function encodeEvent(source, args) {
  const [event, given] = args;
  if (event === null) throw fail('$emit', event, 'event');
  const json = jsonOf('$emit', event, 'event', true);
  const { id, summary, ts } = given !== null && typeof given === 'object' ? given : /** @type {any} */ ({});
  const time = +ts, meta = {
    id: id === undefined || id === null ? undefined : typeof id === 'number' ? id : wellFormed(text(id)),
    summary: summary === undefined || summary === null ? undefined : wellFormed(text(summary)),
    ts: time === time && time !== Infinity && time !== -Infinity ? time : now(),
  };
  return request(`source:${encodeComponent(source)}`, `{"event":${json},${slice(toJson(meta), 1)}`, true);
}

/** @param {string} name @param {any} value @param {string} path @param {string} [hint] */
const fail = (name, value, path, hint) => invalid(value, path, hint, callOf(name));
/** @param {string} name */
const callOf = name => name === '$emit' ? name : `$send.${name}`;

/** A copy of the own properties. @param {any} options @param {string} name @returns {Record<string, any>} */
function record(options, name) {
  if (options === null || typeof options !== 'object' || isArray(options))
    throw fail(name, options, 'options', `pass an object, such as ${OPTIONS[name]}`);
  /** @type {any} */ const copy = { __proto__: null };
  const names = keys(options);
  for (let i = 0; i < names.length; i++) copy[names[i]] = options[names[i]];
  return copy;
}

/** The older form `{ raw_event, event }`. @param {any} event */
function isOldEmit(event) {
  if (event === null || typeof event !== 'object' || !hasOwn(event, 'raw_event')) return false;
  const names = keys(event);
  for (let i = 0; i < names.length; i++) if (names[i] !== 'raw_event' && names[i] !== 'event') return false;
  return true;
}

/** @param {any} to an address, several with commas between, or an array of them @returns {string[]} */
function receivers(to) {
  /** @type {string[]} */ const list = [];
  const items = isArray(to) ? to : [to];
  for (let i = 0; i < items.length; i++) {
    if (typeof items[i] !== 'string') throw fail('email', items[i], 'to');
    const parts = split(items[i], ',');
    for (let j = 0; j < parts.length; j++) {
      const address = trim(parts[j]);
      if (exec(ADDRESS, address) === null) throw fail('email', to, 'to', `${show(address)} is no address: write it as name@example.com`);
      list[list.length] = wellFormed(address);
    }
  }
  if (list.length === 0) throw fail('email', to, 'to');
  return list;
}

/** @param {string | undefined} text */
const clean = text => text === undefined ? undefined : wellFormed(text);

/** @param {string} name @param {any} payload @param {boolean} [isRead] */
const payloadOf = (name, payload, isRead) => typeof payload === 'string' ? wellFormed(payload) : jsonOf(name, payload, 'payload', isRead);

/** @param {string} name @param {any} value @param {string} path @param {boolean} [isRead] by the server, which bounds its depth
 *  @returns {string} */
function jsonOf(name, value, path, isRead = false) {
  if (value !== null && typeof value === 'object') refuse(value, path, callOf(name));
  let json;
  try { json = toJson(value); } catch (error) { throw fail(name, value, path, `it has no JSON form: ${reason(error)}`); }
  if (json === undefined) throw fail(name, value, path);
  if (isRead && isTooDeep(json)) throw fail(name, value, path, `it is nested more than ${MAX_DEPTH} levels deep`);
  return json;
}

/** @param {string} json */
function isTooDeep(json) {
  if (json.length <= 2 * MAX_DEPTH) return false;
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const c = codeAt(json, i);
    if (c === 0x22) i = endOfText(json, i);
    else if (c === 0x5b || c === 0x7b) { if (++depth > MAX_DEPTH) return true; }
    else if (c === 0x5d || c === 0x7d) depth--;
  }
  return false;
}

/** @param {string} json @param {number} start where its opening quote is @returns {number} where its closing quote is */
function endOfText(json, start) {
  for (let end = indexOf(json, '"', start + 1); ; end = indexOf(json, '"', end + 1)) {
    let escapes = 0;
    while (codeAt(json, end - 1 - escapes) === 0x5c) escapes++;
    if (escapes % 2 === 0) return end;
  }
}

/** @param {any} error */
function reason(error) {
  try { return split(`${error.message}`, '\n')[0]; } catch { return 'it cannot be read'; }
}

/** @param {string} name @param {Record<string, any>} given @param {string[]} known @param {Record<string, string>} foreign
 *  @param {Warn} warn */
function warnOfOthers(name, given, known, foreign, warn) {
  for (const key in given) {
    let found = given[key] === undefined;
    for (let i = 0; i < known.length; i++) found ||= known[i] === key;
    if (!found) warn(
      'unknown_send_option',
      `$send.${name} has no option \`${key}\`, so it was ignored: ${foreign[key] ?? `it takes ${join(known, ', ')}`}`);
  }
}

/** @param {string} url @param {string} body @param {boolean} isJson @returns {Send} */
const request = (url, body, isJson) =>
  ({ method: 'SEND', url, headers: [['content-type', isJson ? 'application/json' : 'text/plain; charset=utf-8']], body, parts: null });
