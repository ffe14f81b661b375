// @ts-check
// `$attachments`: the files of an event, as paths.
import fs from 'node:fs';
import path from 'node:path';
import { bufferFrom, defineProperty, exec, indexOf, indexOfBytes, isArray, keys, partOf, slice } from './globals.mjs';
import { rawBodyOf } from './rawBody.mjs';
import { worker } from './step.mjs';
import { TEMP } from './files.mjs';

const FOLDER = Symbol('folder');

/** The workflow's own files, by their names below the folder `attachments`. @param {string} root @returns {Record<string, string>} */
export function ownAttachments(root) {
  const folder = path.join(root, 'attachments');
  /** @type {Record<string, string>} */ const found = {};
  if (!fs.existsSync(folder)) return found;
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.relative(folder, file)] = file;
  }
  return found;
}

/** The workflow's own files by name, and those of a multipart form by field: each is written to the disk when its path is first read.
 *  @param {import('./step.mjs').Call} call */
export function attachmentsOf(call) {
  const found = defineProperty({ ...worker.attachments }, FOLDER, { __proto__: null, value: '', writable: true });
  const body = call.event?.body;
  if (body === null || typeof body !== 'object') return found;
  const fields = keys(body);
  for (let i = 0; i < fields.length; i++) {
    const part = isArray(body[fields[i]]) ? body[fields[i]][0] : body[fields[i]];
    const content = contentOf(part, call);
    if (content === null) continue;
    let file = '';
    defineProperty(found, fields[i], {
      __proto__: null, enumerable: true, configurable: true,
      get() { return file === '' ? file = store(found, `${i}-${path.basename(part.filename)}`, content) : file; },
    });
  }
  return found;
}

/** The content of a file, from the request's body or a data URL. @param {any} part @param {import('./step.mjs').Call} call
 *  @returns {Buffer | null} */
function contentOf(part, call) {
  if (typeof part?.filename !== 'string' || typeof part.url !== 'string') return null;
  const marker = ';base64,', at = indexOf(part.url, marker);
  if (at >= 0 && indexOf(part.url, 'data:') === 0) return bufferFrom(slice(part.url, at + marker.length), 'base64');
  const number = exec(/^https?:\/\/[^/]+\/files\/[^/]+\/[^/]+\/(\d+)\//, part.url);
  return number === null ? null : partAt(+number[1], call);
}

/** The content of a part of the form, with the server's numbering. @param {number} number @param {import('./step.mjs').Call} call
 *  @returns {Buffer | null} */
function partAt(number, call) {
  const boundary = exec(/boundary=(?:"([^"]+)"|([^;\s]+))/i, call.run.frame.event?.headers?.['content-type'] ?? '');
  if (boundary === null) return null;
  const body = rawBodyOf(call), delimiter = bufferFrom(`\r\n--${boundary[1] ?? boundary[2]}`);
  const first = partOf(delimiter, 2); // the first one needs no line ending before it
  let start = indexOfBytes(body, first);
  if (start < 0) return null;
  start += first.length;
  for (let part = 0; ; part++) {
    const end = indexOfBytes(body, delimiter, start);
    if (end < 0) return null;
    if (part === number) {
      const head = indexOfBytes(body, bufferFrom('\r\n\r\n'), start);
      return head < 0 || head + 4 > end ? partOf(body, 0, 0) : partOf(body, head + 4, end);
    }
    start = end + delimiter.length;
  }
}

/** @param {any} owner @param {string} name @param {Buffer} content */
function store(owner, name, content) {
  if (owner[FOLDER] === '') owner[FOLDER] = fs.mkdtempSync(path.join(TEMP, 'attachments-'));
  const file = path.join(owner[FOLDER], name);
  fs.writeFileSync(file, content);
  return file;
}

/** @param {any} attachments of a run that has ended */
export function removeAttachments(attachments) {
  const folder = attachments[FOLDER];
  if (folder !== '') try { fs.rmSync(folder, { recursive: true, force: true }); } catch { /* a step still holds it */ }
}
