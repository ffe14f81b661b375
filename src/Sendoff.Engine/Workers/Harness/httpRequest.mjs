// @ts-check
// A prop of the type http_request: a configured request, which the step sends with execute().
import { coded } from './frames.mjs';

/** @typedef {{ name?: string, key?: string, value?: any, disabled?: boolean }} Pair */

/** @param {any} config */
export function httpRequest(config) {
  return { ...config, async execute() { return await execute(this); } };
}

/** Returns the response's body, parsed if it is JSON; throws for a status from 400. @param {any} config */
async function execute(config) {
  const url = new URL(config.url);
  for (const [name, value] of pairs(config.params)) url.searchParams.append(name, value);
  const headers = new Headers(pairs(config.headers));
  authorize(headers, config.auth);
  const body = bodyOf(config.body ?? config.data, headers);
  const method = String(config.method ?? 'GET').toUpperCase();
  const response = await fetch(url, { method, headers, body: method === 'GET' || method === 'HEAD' ? undefined : body });
  const data = parsed(await response.text());
  if (response.ok) return data;
  const error = new Error(`Request failed with status code ${response.status}`);
  throw Object.assign(
    coded(error, 'SENDOFF_HTTP_REQUEST'), { response: { status: response.status, headers: Object.fromEntries(response.headers), data } });
}

/** @param {any} given `[{ name, value }]` or an object @returns {[string, string][]} */
function pairs(given) {
  if (given === null || typeof given !== 'object') return [];
  const list = Array.isArray(given)
    ? given.map((/** @type {Pair} */ pair) => [pair?.name ?? pair?.key, pair?.value, pair?.disabled]) : Object.entries(given);
  return list.filter(
    ([name, value, disabled]) => typeof name === 'string' && name !== '' && value !== undefined && value !== null && disabled !== true)
    .map(([name, value]) => [name, String(value)]);
}

/** @param {Headers} headers @param {any} auth */
function authorize(headers, auth) {
  if (auth === null || typeof auth !== 'object') return;
  if (auth.type === 'bearer' || (auth.type === undefined && auth.token !== undefined)) headers.set('authorization', `Bearer ${auth.token}`);
  else if (auth.type === 'basic' || (auth.type === undefined && auth.username !== undefined)) {
    headers.set('authorization', `Basic ${Buffer.from(`${auth.username ?? ''}:${auth.password ?? ''}`).toString('base64')}`);
  }
}

/** @param {any} body text, a value, or the form's `{ mode, contentType, raw, fields }` @param {Headers} headers
 *  @returns {string | undefined} */
function bodyOf(body, headers) {
  if (body === undefined || body === null || body === '') return undefined;
  if (typeof body !== 'object' || !('contentType' in body || 'raw' in body || 'fields' in body))
    return typeof body === 'string' ? body : json(body, headers);
  const type = body.contentType;
  if (typeof type === 'string' && type !== '' && !headers.has('content-type')) headers.set('content-type', type);
  const mode = body.mode ?? body.type;
  if (mode !== 'fields' && body.raw !== undefined) return typeof body.raw === 'string' ? body.raw : json(body.raw, headers);
  if (!Array.isArray(body.fields) || body.fields.length === 0) return undefined;
  const fields = pairs(body.fields);
  return type === 'application/x-www-form-urlencoded' ? new URLSearchParams(fields).toString() : json(Object.fromEntries(fields), headers);
}

/** @param {any} value @param {Headers} headers */
function json(value, headers) {
  if (!headers.has('content-type')) headers.set('content-type', 'application/json');
  return JSON.stringify(value);
}

/** @param {string} body */
function parsed(body) {
  try { return JSON.parse(body); } catch { return body; }
}
