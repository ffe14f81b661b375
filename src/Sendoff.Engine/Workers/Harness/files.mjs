// @ts-check
// `$.files`: files in the worker's temporary folder.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';

/** Read before steps can change the environment. */
export const TEMP = os.tmpdir();

/** @param {string} [folder] relative to the temporary folder */
export const directory = folder => new Directory(folder);

/** The files of a folder. */
export class Directory {
  #root;

  /** @param {string} [folder] */
  constructor(folder = '') { this.#root = path.resolve(TEMP, folder); }

  /** @param {string} name a path, relative to the folder or absolute */
  open(name) { return new StoredFile(path.resolve(this.#root, String(name))); }

  /** @param {any} descriptor what a file is as JSON */
  openDescriptor(descriptor) {
    if (typeof descriptor?.path !== 'string')
      throw new TypeError('$.files.openDescriptor: an object with the path of a file is needed, such as a step returned');
    return this.open(descriptor.path);
  }

  /** Lists all files in it. @param {string} [name] */
  async * dir(name = '') {
    const folder = path.resolve(this.#root, name);
    for (const entry of await fs.promises.readdir(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name), stat = await fs.promises.stat(file).catch(() => null);
      if (stat === null) continue; // deleted in the meantime, or a broken link
      yield {
        name: entry.name, path: file, size: stat.size, modifiedAt: stat.mtime, isFile: () => stat.isFile(),
        isDirectory: () => stat.isDirectory(),
      };
    }
  }
}

/** A file, which may not exist yet. As JSON it is `{ path, name }`. */
class StoredFile {
  /** @param {string} file */
  constructor(file) { this.path = file; this.name = path.basename(file); }

  async toUrl() { return pathToFileURL(this.path).href; }
  async toBuffer() { return await fs.promises.readFile(this.path); }
  /** @param {BufferEncoding} [encoding] @param {number} [start] @param {number} [end] */
  async toEncodedString(encoding = 'utf8', start = 0, end = undefined) {
    return (await this.toBuffer()).subarray(start, end).toString(encoding);
  }
  /** @param {string} target a path on the disk */
  async toFile(target) {
    await fs.promises.mkdir(path.dirname(path.resolve(target)), { recursive: true });
    await fs.promises.copyFile(this.path, target);
  }

  /** @param {string} url @param {any} [options] of fetch */
  async fromUrl(url, options = undefined) {
    const response = await fetch(url, options);
    if (!response.ok || response.body === null) throw new Error(`$.files: ${url} responded with the status ${response.status}`);
    return await this.fromReadableStream(/** @type {any} */ (response.body));
  }

  /** @param {string} source a path on the disk */
  async fromFile(source) {
    await this.#makeFolder();
    await fs.promises.copyFile(source, this.path);
    return this;
  }

  /** @param {Readable | ReadableStream} stream */
  async fromReadableStream(stream) {
    await this.#makeFolder();
    const readable = typeof (/** @type {any} */ (stream).pipe) === 'function'
      ? /** @type {Readable} */ (stream) : Readable.fromWeb(/** @type {any} */ (stream));
    await pipeline(readable, fs.createWriteStream(this.path));
    return this;
  }

  async delete() { await fs.promises.rm(this.path, { force: true }); }
  async createReadStream() { return fs.createReadStream(this.path); }
  async createWriteStream() {
    await this.#makeFolder();
    return fs.createWriteStream(this.path);
  }

  async #makeFolder() { await fs.promises.mkdir(path.dirname(this.path), { recursive: true }); }
}
