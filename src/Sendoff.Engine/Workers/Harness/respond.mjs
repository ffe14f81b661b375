// @ts-check
// $respond (E7): checks the response that a step gives and writes it to the server.
import { bufferFrom, captureStackTrace, isInteger, joinBuffers, keys, later, lower, resolve, toJson, types } from './globals.mjs';
import { RESPOND, coded } from './frames.mjs';
import { headerBytes } from './httpSyntax.mjs';
import { asData } from './plain.mjs';
import { findBadType, inUtf8, whyLeftOut } from './responseHeaders.mjs';
import { holdsJson, invalid, readHeaders, show } from './send.mjs';
import { headersJson, mustBeLive, warn, worker } from './step.mjs';

/** @typedef {import('./step.mjs').Call} Call */

/** Common wrong names. @type {Record<string, string>} */
const MEANT = {
  __proto__: /** @type {any} */ (null), statusCode: 'status', code: 'status', bodyContent: 'body', data: 'body', content: 'body',
  text: 'body', json: 'body', header: 'headers',
};

/** @param {Call} call @param {any} options */
function warnOfOptions(call, options) {
  const names = keys(options);
  for (let i = 0; i < names.length; i++) {
    const name = names[i], meant = MEANT[name];
    if (name === 'status' || name === 'headers' || name === 'body' || name === 'immediate' || options[name] === undefined) continue;
    const hint = meant === undefined ? '; it has status, headers, body and immediate' : `: did you mean \`${meant}\`?`;
    warn(call, 'unknown_response_option', `$respond: there is no option \`${name}\`${hint}`);
  }
}

/** E7. @param {Call} call */
export const respondOf = call => function $respond(/** @type {any} */ options) {
  mustBeLive(call, '$respond');
  const refused = (/** @type {string} */ why) => {
    warn(call, 'response_not_sent', `$respond: ${why}, so no response was sent`);
    return resolve(undefined);
  };
  if (options === null || typeof options !== 'object') return refused('an object { status, headers, body } is needed');
  warnOfOptions(call, options);
  const status = options.status === undefined ? 200 : +options.status;
  if (!isInteger(status) || status < 200 || status > 599) return refused(`${show(options.status)} is no HTTP status from 200 to 599`);
  let { body } = options, type = '';
  if (body === undefined || body === null) body = null;
  else if (types.isArrayBufferView(body)) body = bufferFrom(body.buffer, body.byteOffset, body.byteLength);
  else if (types.isAnyArrayBuffer(body)) body = bufferFrom(body);
  else if (isStream(body)) type = 'application/octet-stream';
  else if (typeof body === 'object' && typeof body.pipe !== 'function' && !types.isPromise(body)) {
    try { body = toJson(body, (/** @type {string} */ _, /** @type {any} */ value) => asData(value)); }
    catch (error) { return refused(`its body has no JSON form`); }
    type = 'application/json';
  } else if (typeof body === 'string')
    type = body === '' ? '' : holdsJson(body) ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8';
  else return refused(`a body is a string, an object, a Buffer or a stream, not ${show(body)}`);
  const stream = isStream(body) ? body : null;
  const headers = readHeaders(options.headers, (code, message) => warn(call, code, message), (value, path) => {
    const error = invalid(value, path);
    error.message = `$respond: invalid value ${show(value)} for ${path}`;
    captureStackTrace(error, $respond);
    return coded(error, 'SENDOFF_INVALID_RESPONSE');
  });
  /** @type {[string, string][]} */ const list = sendable(headers.list, call);
  const bad = findBadType(list);
  if (bad !== null) return refused(`the content type ${show(bad)} is not one media type such as text/html; charset=utf-8`);
  if (type !== '' && headers.contentType === undefined) list[list.length] = ['content-type', type];
  if (typeof options.body === 'string') nameUtf8(list, call);
  const bytes = headerBytes(list), most = worker.limits.headerBytes;
  if (bytes > most) return refused(`its headers have ${bytes} bytes in all, over the limit of ${most} (setting Sends:MaxHeaderBytes)`);
  const head = `{"run":${call.run.number},"status":${status},"headers":${headersJson(list)},"immediate":${options.immediate === true}}`;
  call.run.responded = true;
  if (stream !== null) return respondWith(call, head, stream);
  worker.writer.withBody(RESPOND, head, body);
  worker.writer.flush();
  return resolve(undefined);
};

/** The valid header lines of a response. Others are dropped with a warning and are not recorded. @param {[string, string][]} lines
 *  @param {Call} call */
function sendable(lines, call) {
  /** @type {[string, string][]} */ const kept = [];
  for (let i = 0; i < lines.length; i++) {
    const name = lines[i][0], value = lines[i][1];
    const why = whyLeftOut(name, value);
    if (why === null) kept[kept.length] = lines[i];
    else warn(call, 'ignored_header', `$respond: the header \`${name}\` was ignored: ${why}`);
  }
  return kept;
}

/** A string is sent as UTF-8, and its content type says so, as in Express. @param {[string, string][]} lines @param {Call} call */
function nameUtf8(lines, call) {
  for (let i = 0; i < lines.length; i++) {
    if (lower(lines[i][0]) !== 'content-type') continue;
    const { type, replaced } = inUtf8(lines[i][1]);
    lines[i][1] = type;
    const why = 'in which a string is sent. Give a Buffer for another charset';
    if (replaced !== null) warn(call, 'ignored_header', `$respond: the charset ${replaced} was replaced by utf-8, ${why}`);
  }
}

/** @param {any} body a Readable of Node or a ReadableStream of the web */
const isStream = body => body !== null && typeof body === 'object' && typeof body[Symbol.asyncIterator] === 'function'
  && (typeof body.pipe === 'function' || typeof body.getReader === 'function');

/** The step does not end before its stream. @param {Call} call @param {string} head @param {AsyncIterable<any>} stream */
async function respondWith(call, head, stream) {
  call.reading++;
  try {
    const body = await collect(stream);
    worker.writer.withBody(RESPOND, head, body);
    worker.writer.flush();
  } finally {
    later(() => { // unhandled rejections are reported before
      call.reading--;
      worker.afterReading(call, false);
    });
  }
}

/** @param {AsyncIterable<any>} stream */
async function collect(stream) {
  const most = worker.limits.valueBytes, chunks = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const buffer = bufferFrom(chunk);
    bytes += buffer.length;
    if (bytes > most)
      throw coded(new Error(`$respond: the stream has more than ${most} bytes (setting Runs:MaxExportBytes)`), 'SENDOFF_VALUE_TOO_LARGE');
    chunks[chunks.length] = buffer;
  }
  return joinBuffers(chunks);
}
