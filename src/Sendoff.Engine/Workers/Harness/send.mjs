// @ts-check
// Converts the options of $send.http to the request of a delivery: rules A2 to A7.
import {
  Bytes, QueryParams, Url, blob, bufferFrom, decode, eachField, eachHeader, encodeComponent, exec,
  getPrototypeOf, hasOwn, indexOf, inspect, isArray, isForm, isHeaderList, isoDate, join, joinBuffers, keys, lower, parseJson, slice, split,
  text, toJson,
  trim, types, upper, url as urlParts, wellFormed,
} from './globals.mjs';
import { coded } from './frames.mjs';
import { HOST_RULE, METHOD_RULE, isHeaderValue, isHost, isMethod, isToken, percentDecoded, withoutBlanks } from './httpSyntax.mjs';

/** @typedef {{ method: string, url: string, headers: [string, string][], body: string | Uint8Array | null, parts: (string | Blob)[] |
 *  null }} Send `parts` instead of `body`: bytes of a Blob can only be read asynchronously. */
/** @typedef {(code: string, message: string) => void} Warn */

const USUAL_METHODS = { __proto__: null, GET: 1, HEAD: 1, POST: 1, PUT: 1, PATCH: 1, DELETE: 1, OPTIONS: 1 };
const OPTIONS = { __proto__: null, method: 1, url: 1, data: 1, headers: 1, params: 1, auth: 1 };
/** Options of other clients that $send.http does not have (A8). @type {Record<string, string>} */
const FOREIGN = /** @type {any} */ ({
  __proto__: null,
  body: 'did you mean `data`?', json: 'did you mean `data`? An object is sent as JSON', form: 'pass a URLSearchParams as `data`',
  payload: 'did you mean `data`?',
  uri: 'did you mean `url`?', query: 'did you mean `params`?', qs: 'did you mean `params`?', searchParams: 'did you mean `params`?',
  header: 'did you mean `headers`?', type: 'did you mean `method`?',
  baseURL: 'write the whole address into `url`', username: 'did you mean `auth: { username, password }`?',
  password: 'did you mean `auth: { username, password }`?',
  timeout: 'not supported here: a delivery has 5 seconds in all, set for the server',
  retry: 'not supported here: retries are a setting of the workflow or the destination',
  retries: 'not supported here: retries are a setting of the workflow or the destination',
  validateStatus: 'not supported here: the request is made after the run, its status never fails a step',
  responseType: 'not supported here: the response is not available to the step',
  transformResponse: 'not supported here: the response is not available to the step',
  returnFullResponse: 'not supported here: the response is not available to the step',
  maxRedirects: 'not supported here: redirects are a setting of the server', proxy: 'not supported here: egress is a setting of the server',
});
const IGNORED = {
  __proto__: null, 'content-length': 1, 'transfer-encoding': 1, connection: 1, 'keep-alive': 1, te: 1, trailer: 1, upgrade: 1,
  'proxy-connection': 1, expect: 1, 'http2-settings': 1,
};
const JSON_TYPE = 'application/json', FORM_TYPE = 'application/x-www-form-urlencoded';
const MAX_DEPTH = 100;

/** @param {any} value */
export function show(value) {
  try {
    if (typeof value === 'string') {
      const escaped = exec(/[\x00-\x1f\x7f]/, value) === null ? value : slice(toJson(value), 1, -1);
      return escaped.length > 200 ? `${slice(escaped, 0, 200)}…` : escaped;
    }
    if (types.isPromise(value)) return '[object Promise]'; // Node 20 would add its own symbols
    const shown = inspect(value, { depth: 0, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 100, customInspect: false });
    return shown.length > 200 ? `${slice(shown, 0, 200)}…` : shown;
  } catch { return typeof value; }
}

/** @param {any} value @param {string} path @param {string} [hint] @param {string} [name] of the function that was called
 *  @returns {Error} */
export function invalid(value, path, hint, name = '$send.http') {
  const shown = path === 'auth.password' && value != null ? `[${typeof value}]` : show(value);
  return coded(new Error(`${name}: invalid value ${shown} for ${path}${hint === undefined ? '' : `: ${hint}`}`), 'SENDOFF_INVALID_SEND');
}

/** Only own properties are read (A6). @param {any} object @param {string} key */
const own = (object, key) => hasOwn(object, key) ? object[key] : undefined;

/** Checks in the order method, url, data, headers, params, auth: the error names the first invalid one (A4). @param {any} options
 *  @param {Warn} warn
 *  @returns {Send} */
export function encodeSend(options, warn) {
  if (options === null || typeof options !== 'object') throw invalid(options, 'options', 'pass an object, such as { method, url, data }');
  const method = own(options, 'method');
  if (typeof method !== 'string' || !(method in USUAL_METHODS)) checkMethod(method);
  const address = parseUrl(own(options, 'url'));

  /** @type {Headers_} */ let headers = NO_HEADERS;
  let headersError;
  try { headers = readHeaders(own(options, 'headers'), warn, invalid); } catch (error) { headersError = error; }
  const encoded = encodeData(own(options, 'data'), headers.contentType === undefined ? undefined : headers.list[headers.contentType][1]);
  if (headersError !== undefined) throw headersError;

  const query = own(options, 'params');
  const href = withParams(address.href, query);
  const credentials = readAuth(own(options, 'auth')) ?? address.credentials;

  const list = headers === NO_HEADERS ? [] : headers.list;
  if (headers.contentType !== undefined) list[headers.contentType][1] = encoded.type;
  else if (encoded.type !== '') list[list.length] = ['content-type', encoded.type];
  if (credentials !== undefined) setHeader(list, 'authorization', `Basic ${decode(bufferFrom(credentials), 'base64')}`);
  warnOfUnknownOptions(options, warn);
  return { method: upper(method), url: href, headers: list, body: encoded.body, parts: encoded.parts };
}

/** @param {any} method */
function checkMethod(method) {
  if (typeof method !== 'string' || !isMethod(method))
    throw invalid(method, 'method', typeof method === 'string' && isToken(method) ? METHOD_RULE : undefined);
  if (upper(method) === 'CONNECT') throw invalid(method, 'method', 'it asks a proxy for a tunnel, and is no request to a server');
}

/** @param {any} options @param {Warn} warn */
function warnOfUnknownOptions(options, warn) {
  for (const key in options) {
    if (key in OPTIONS || !hasOwn(options, key) || options[key] === undefined) continue;
    warn('unknown_send_option',
      `$send.http has no option \`${key}\`, so it was ignored: ${FOREIGN[key] ?? 'it takes method, url, data, headers, params and auth'}`);
  }
}

/** Scheme, host and port of the last valid URL: most sends go to the same destination as the previous one. */
let sendable = '';

/** @param {any} value @returns {{ href: string, credentials: Uint8Array | undefined }} */
function parseUrl(value) {
  let parsed, href;
  try {
    parsed = typeof value === 'string' ? new Url(value) : value;
    href = typeof value === 'string' || (value !== null && typeof value === 'object') ? urlParts.href(parsed) : '';
  } catch { throw invalid(value, 'url'); }
  const origin = slice(href, 0, indexOf(href, '/', 8));
  if (origin === '' || origin !== sendable) {
    checkOrigin(value, parsed, href);
    if (indexOf(origin, '@') < 0) sendable = origin;
  }
  const hash = indexOf(href, '#');
  if (hash >= 0) href = slice(href, 0, hash);
  const at = indexOf(href, '@');
  if (at < 0) return { href, credentials: undefined };
  const username = urlParts.username(parsed), password = urlParts.password(parsed);
  if (username === '' && password === '') return { href, credentials: undefined };
  return {
    href: slice(href, 0, urlParts.protocol(parsed).length + 2) + slice(href, at + 1),
    credentials: percentDecoded(`${username}:${password}`),
  };
}

/** @param {any} value @param {any} parsed @param {string} href */
function checkOrigin(value, parsed, href) {
  const protocol = href === '' ? '' : urlParts.protocol(parsed);
  if (protocol !== 'https:' && protocol !== 'http:') throw invalid(value, 'url', href === '' ? undefined : 'only http and https are sent');
  if (urlParts.port(parsed) === '0') throw invalid(value, 'url', 'port 0');
  const host = urlParts.hostname(parsed);
  if (!isHost(host)) throw invalid(value, 'url', `the host is ${show(host)}: ${HOST_RULE}`);
}

/** @param {any} auth @returns {string | undefined} */
function readAuth(auth) {
  if (auth === undefined) return undefined;
  if (auth === null || typeof auth !== 'object') throw invalid(auth, 'auth');
  const username = own(auth, 'username'), password = own(auth, 'password');
  if (typeof username !== 'string') throw invalid(username, 'auth.username');
  if (typeof password !== 'string') throw invalid(password, 'auth.password');
  return `${username}:${password}`;
}

/** @typedef {{ list: [string, string][], contentType: number | undefined }} Headers_ */
/** @type {Headers_} */
const NO_HEADERS = { list: [], contentType: undefined };

/** @param {any} headers @param {Warn} warn @param {(value: any, path: string, hint?: string) => Error} fail @returns {Headers_} */
export function readHeaders(headers, warn, fail) {
  if (headers === undefined || headers === null) return NO_HEADERS;
  if (typeof headers !== 'object' || isArray(headers) || types.isMap(headers))
    throw fail(headers, 'headers', 'an object of names and values is needed');
  if (isHeaderList(headers)) {
    /** @type {any} */ const plain = { __proto__: null };
    eachHeader(headers, (value, name) => { plain[name] = value; });
    headers = plain;
  }
  /** Of names that differ only in case, the last one is used (A6). @type {Record<string, string>} */
  const lastOf = /** @type {any} */ ({ __proto__: null });
  const names = keys(headers);
  for (let i = 0; i < names.length; i++) {
    if (!isToken(names[i])) throw fail(headers[names[i]], `headers.${show(names[i])}`, 'not a legal header name');
    lastOf[lower(names[i])] = names[i];
  }
  /** @type {[string, string][]} */ const list = [];
  let contentType;
  for (let i = 0; i < names.length; i++) {
    const name = names[i], key = lower(name), value = headers[name];
    if (lastOf[key] !== name || value == null) continue;
    if (key in IGNORED) {
      warn('ignored_header', `the header \`${name}\` was ignored: the sender sets it`);
      continue;
    }
    if (key === 'content-type') contentType = list.length;
    if (!isArray(value)) list[list.length] = [name, headerText(value, name, fail)];
    else for (let j = 0; j < value.length; j++) if (value[j] != null) list[list.length] = [name, headerText(value[j], name, fail)];
    if (contentType === list.length) contentType = undefined;
    if (key === 'host' && isArray(value) && list.length > 1 && lower(list[list.length - 2][0]) === 'host')
      throw fail(value, `headers.${name}`, 'a request has one host');
  }
  return { list, contentType };
}

/** @param {any} value @param {string} name @param {(value: any, path: string, hint?: string) => Error} fail */
function headerText(value, name, fail) {
  const kind = typeof value;
  if (kind !== 'string' && kind !== 'number' && kind !== 'boolean' && kind !== 'bigint') throw fail(value, `headers.${name}`);
  const line = withoutBlanks(text(value));
  if (!isHeaderValue(line))
    throw fail(value, `headers.${name}`, 'a header value cannot hold line breaks, control characters or characters beyond Latin-1');
  return line;
}

/** Replaces every header of that name. @param {[string, string][]} list @param {string} name lower-case @param {string} value */
function setHeader(list, name, value) {
  let kept = 0;
  for (let i = 0; i < list.length; i++) if (lower(list[i][0]) !== name) list[kept++] = list[i];
  list.length = kept;
  list[kept] = [name, value];
}

/** @typedef {{ body: string | Uint8Array | null, type: string, parts: (string | Blob)[] | null }} Content */
/** @param {string | Uint8Array | null} body @param {string} type @param {string | undefined} chosen @returns {Content} */
const content = (body, type, chosen) => ({ body, type: chosen ?? type, parts: null });

/** @param {any} data @param {string | undefined} chosen the content-type set by the user, which takes precedence @returns {Content} */
function encodeData(data, chosen) {
  if (data === undefined || data === null) return content(null, '', chosen);
  switch (typeof data) {
    case 'string': return content(data, chosen === undefined && holdsJson(data) ? JSON_TYPE : 'text/plain; charset=utf-8', chosen);
    case 'number': case 'boolean': return content(toJson(data), JSON_TYPE, chosen);
    case 'object': break;
    case 'bigint': throw invalid(data, 'data', 'JSON has no BigInt: make it a string or a number');
    default: throw invalid(data, 'data', `a ${typeof data} cannot be sent`);
  }
  const prototype = getPrototypeOf(data);
  if (prototype !== Object.prototype && prototype !== Array.prototype && prototype !== null) {
    if (types.isArrayBufferView(data))
      return content(bufferFrom(data.buffer, data.byteOffset, data.byteLength), 'application/octet-stream', chosen);
    if (types.isAnyArrayBuffer(data)) return content(bufferFrom(data), 'application/octet-stream', chosen);
    if (data instanceof QueryParams) return content(urlParts.toString(data), FORM_TYPE, chosen);
    if (isForm(data)) return multipart(data, chosen);
    if (data instanceof Bytes) return { body: null, type: chosen ?? (blob.type(data) || 'application/octet-stream'), parts: [data] };
    refuse(data, 'data');
  }
  if (typeof data.then === 'function') refuse(data, 'data');
  if (chosen !== undefined && !hasText(data)) {
    const type = lower(chosen);
    if (indexOf(type, FORM_TYPE) === 0) return content(queryText(flatten(data, '', [], 0, 'data', false), '+'), '', chosen);
    if (indexOf(type, 'multipart/form-data') === 0) return multipart(data, chosen);
  }
  let json;
  try { json = toJson(data); } catch (error) { throw invalid(data, 'data', reason(error)); }
  if (json === undefined) throw invalid(data, 'data', 'it has no JSON form');
  return content(json, JSON_TYPE, chosen);
}

/** A value that JSON would silently convert to `{}`. @param {any} data @param {string} path @param {string} [name] */
export function refuse(data, path, name) {
  if (types.isPromise(data) || typeof data.then === 'function') throw invalid(data, path, 'a Promise: await it first', name);
  if (types.isMap(data)) throw invalid(data, path, 'a Map: use Object.fromEntries(map)', name);
  if (types.isSet(data)) throw invalid(data, path, 'a Set: use [...set]', name);
  if (types.isWeakMap(data) || types.isWeakSet(data)) throw invalid(data, path, undefined, name);
  if (typeof data.pipe === 'function' || typeof data.getReader === 'function')
    throw invalid(data, path, 'a stream: read it into a string or Buffer first', name);
}

/** An object that represents one text and has no fields. @param {any} value */
const hasText = value => types.isDate(value) || types.isBoxedPrimitive(value) || value instanceof Url;

/** An object without a text, and without fields. @param {any} value */
const isOpaque = value => types.isArrayBufferView(value) || types.isAnyArrayBuffer(value) || value instanceof Bytes || isForm(value)
  || value instanceof QueryParams;

/** @param {any} error */
function reason(error) {
  try { return split(text(error.message), '\n')[0]; } catch { return 'it has no JSON form'; }
}

/** @param {string} data */
export function holdsJson(data) {
  const match = exec(/^\s*[[{]/, data);
  if (match === null) return false;
  try { parseJson(data); return true; } catch { return false; }
}

let boundaries = 0;
const boundaryStart = `----sendoff${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`;

/** @param {any} data a FormData, or an object under the content type multipart/form-data @param {string | undefined} chosen
 *  @returns {Content} */
function multipart(data, chosen) {
  const given = chosen === undefined ? null : exec(/;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i, chosen);
  const boundary = given === null ? `${boundaryStart}${boundaries++}` : given[1] ?? given[2];
  let type = chosen ?? `multipart/form-data; boundary=${boundary}`;
  if (chosen !== undefined && given === null && indexOf(lower(chosen), 'multipart/') === 0) type = `${trim(chosen)}; boundary=${boundary}`;
  /** @type {(string | Blob)[]} */ const parts = [];
  let run = '', blobs = 0;
  /** @param {any} value @param {string} name */
  const add = (value, name) => {
    run += `--${boundary}\r\ncontent-disposition: form-data; name="${quoted(crlf(name))}"`;
    if (!(value instanceof Bytes)) { run += `\r\n\r\n${crlf(text(value))}\r\n`; return; }
    const file = /** @type {any} */ (value);
    run += `; filename="${quoted(text(file.name ?? 'blob'))}"\r\ncontent-type: ${blob.type(file) || 'application/octet-stream'}\r\n\r\n`;
    parts[parts.length] = run;
    parts[parts.length] = file;
    blobs++;
    run = '\r\n';
  };
  if (isForm(data)) eachField(data, add);
  else {
    const pairs = flatten(data, '', [], 0, 'data', true);
    for (let i = 0; i < pairs.length; i++) add(pairs[i][1], pairs[i][0]);
  }
  run += `--${boundary}--\r\n`;
  if (blobs === 0) return { body: run, type, parts: null };
  parts[parts.length] = run;
  return { body: null, type, parts };
}

/** @param {string} value */
const crlf = value => join(split(join(split(join(split(value, '\r\n'), '\n'), '\r'), '\n'), '\n'), '\r\n');
/** @param {string} value */
const quoted = value => join(split(join(split(join(split(value, '"'), '%22'), '\r'), '%0D'), '\n'), '%0A');

/** The total size of `parts`. @param {(string | Blob)[]} parts */
export function partsBytes(parts) {
  let bytes = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    bytes += typeof part === 'string' ? bufferFrom(part).length : blob.size(part);
  }
  return bytes;
}

/** @param {(string | Blob)[]} parts @returns {Promise<Uint8Array>} */
export async function readParts(parts) {
  /** @type {Buffer[]} */ const buffers = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    buffers[i] = bufferFrom(typeof part === 'string' ? part : await blob.read(part));
  }
  return joinBuffers(buffers);
}

/** @typedef {[key: string, value: any][]} Pairs values are text, or a Blob */

/** Arrays become `key[]`, objects `key[sub]`, null and undefined nothing (A6). Depth 0 is the object with the keys.
 *  @param {any} value @param {string} key @param {Pairs} pairs @param {number} depth @param {string} path
 *  @param {boolean} blobs whether a Blob can be a value @returns {Pairs} */
function flatten(value, key, pairs, depth, path, blobs) {
  if (value === undefined || value === null) return pairs;
  if (typeof value === 'function' || typeof value === 'symbol') throw invalid(value, path);
  if (typeof value !== 'object' || (blobs && value instanceof Bytes)) {
    pairs[pairs.length] = [key, typeof value === 'object' ? value : text(value)];
    return pairs;
  }
  if (hasText(value)) {
    try { pairs[pairs.length] = [key, types.isDate(value) ? isoDate(value) : text(value)]; } catch { throw invalid(value, path); }
    return pairs;
  }
  refuse(value, path);
  if (isOpaque(value)) throw invalid(value, path, 'it has no text');
  if (depth > MAX_DEPTH) throw invalid(value, path, 'it is nested too deeply, or circular');
  if (depth > 0 && isArray(value)) for (let i = 0; i < value.length; i++)
    flatten(value[i], `${key}[]`, pairs, depth + 1, `${path}[${i}]`, blobs);
  else {
    const names = keys(value);
    for (let i = 0; i < names.length; i++)
      flatten(value[names[i]], depth === 0 ? names[i] : `${key}[${names[i]}]`, pairs, depth + 1, `${path}.${names[i]}`, blobs);
  }
  return pairs;
}

/** Brackets are not encoded, as in axios. @param {string} value @param {string} space */
function escaped(value, space) {
  const encoded = encodeComponent(wellFormed(value));
  return indexOf(encoded, '%') < 0 ? encoded : join(split(join(split(join(split(encoded, '%5B'), '['), '%5D'), ']'), '%20'), space);
}

/** @param {Pairs} pairs @param {string} space */
function queryText(pairs, space) {
  let query = '';
  for (let i = 0; i < pairs.length; i++)
    query += `${i === 0 ? '' : '&'}${escaped(pairs[i][0], space)}=${escaped(text(pairs[i][1]), space)}`;
  return query;
}

/** @param {string} href without a fragment @param {any} params */
function withParams(href, params) {
  if (params === undefined || params === null) return href;
  /** @type {Pairs} */ const pairs = [];
  const names = namesOf(params, pairs);
  if (pairs.length === 0) return href;
  const mark = indexOf(href, '?');
  if (mark < 0) return `${href}?${queryText(pairs, '%20')}`;

  // `params` replaces a key of the same name in the URL, also one followed by brackets.
  const kept = split(slice(href, mark + 1), '&');
  let query = '';
  for (let i = 0; i < kept.length; i++) if (kept[i] !== '' && !isNamed(keyOf(kept[i]), names)) query += `${kept[i]}&`;
  return `${slice(href, 0, mark)}?${query}${queryText(pairs, '%20')}`;
}

/** Adds the pairs, and returns their names. @param {any} params @param {Pairs} pairs */
function namesOf(params, pairs) {
  /** @type {Record<string, number>} */ const names = /** @type {any} */ ({ __proto__: null });
  if (params instanceof QueryParams) {
    urlParts.each(params, (value, key) => {
      pairs[pairs.length] = [key, value];
      names[key] = 1;
    });
    return names;
  }
  if (typeof params !== 'object' || isArray(params) || hasText(params) || isOpaque(params))
    throw invalid(params, 'params', 'an object or URLSearchParams is needed');
  refuse(params, 'params');
  const own = keys(params);
  for (let i = 0; i < own.length; i++) {
    const before = pairs.length;
    flatten(params[own[i]], own[i], pairs, 1, `params.${own[i]}`, false);
    if (pairs.length > before) names[wellFormed(own[i])] = 1;
  }
  return names;
}

/** @param {string} piece of a query */
function keyOf(piece) {
  let found = '';
  urlParts.each(new QueryParams(`&${piece}`), (_, key) => { found = key; });
  return found;
}

/** @param {string} key @param {Record<string, number>} names */
function isNamed(key, names) {
  if (key in names) return true;
  for (let at = indexOf(key, '['); at >= 0; at = indexOf(key, '[', at + 1)) if (slice(key, 0, at) in names) return true;
  return false;
}
