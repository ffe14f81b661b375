// @ts-check
// What older steps read of an event: its files as paths, and the request as it came.
import fs from 'node:fs';
import path from 'node:path';
import { bufferFrom, decode, defineProperty, indexOf, isArray, keys, slice, toJson } from './globals.mjs';
import { TEMP } from './files.mjs';

const FOLDER = Symbol('folder');

/** The files of a multipart form, by field: each is written to the disk when its path is first read. @param {any} event */
export function attachmentsOf(event) {
  const found = defineProperty({}, FOLDER, { __proto__: null, value: '', writable: true });
  const body = event?.body;
  if (body === null || typeof body !== 'object') return found;
  const fields = keys(body);
  for (let i = 0; i < fields.length; i++) {
    const part = isArray(body[fields[i]]) ? body[fields[i]][0] : body[fields[i]];
    const content = contentOf(part);
    if (content === null) continue;
    let file = '';
    defineProperty(found, fields[i], { __proto__: null, enumerable: true, get() { return file === '' ? file = store(found, `${i}-${path.basename(part.filename)}`, content) : file; } });
  }
  return found;
}

/** A file comes as a data URL. @param {any} part @returns {string | null} Base64 */
function contentOf(part) {
  if (typeof part?.filename !== 'string' || typeof part.url !== 'string') return null;
  const marker = ';base64,', at = indexOf(part.url, marker);
  return at < 0 || indexOf(part.url, 'data:') !== 0 ? null : slice(part.url, at + marker.length);
}

/** @param {any} owner @param {string} name @param {string} content Base64 */
function store(owner, name, content) {
  if (owner[FOLDER] === '') owner[FOLDER] = fs.mkdtempSync(path.join(TEMP, 'attachments-'));
  const file = path.join(owner[FOLDER], name);
  fs.writeFileSync(file, bufferFrom(content, 'base64'));
  return file;
}

/** @param {any} attachments of a run that has ended */
export function removeAttachments(attachments) {
  const folder = attachments[FOLDER];
  if (folder !== '') try { fs.rmSync(folder, { recursive: true, force: true }); } catch { /* a step still holds it */ }
}

/** `steps.trigger.raw_event`: the request with its body in Base64; a body that was parsed is written as JSON again. @param {any} event */
export function rawEventOf(event) {
  const { method, url, headers, client_ip, body } = event ?? {};
  let uri, scheme;
  try { const parsed = new URL(url); uri = parsed.pathname + parsed.search; scheme = parsed.protocol.slice(0, -1); } catch { uri = event?.path; }
  const bytes = bufferFrom(body === undefined || body === null ? '' : typeof body === 'string' ? body : toJson(body));
  return { method, uri, scheme, client_ip, headers: headers === undefined ? undefined : { ...headers }, body_b64: decode(bytes, 'base64') };
}
