// @ts-check
// The frames of docs/worker-protocol.md: u32 length | u8 kind | payload.
import { allocate, bufferFrom, decode, joinBuffers, parseJson, pause, reallyExit, writeSync } from './globals.mjs';

export const LOAD = 1, RUN = 2, REVOKE = 3, ANSWER = 4, ADOPT = 5;
export const READY = 16, LOADED = 17, REVOKED = 18, EXPIRED = 19;
export const SEND = 20, LOG = 21, EXPORT = 22, WARNING = 23, RESPOND = 24, STEP_END = 25, RUN_END = 26, CALL = 27, KEEP = 28;

const MAX_FRAME_BYTES = 16 * 1024 * 1024;
/** The largest body of an event, with all bytes escaped, plus the raw body. */
const MAX_READ_BYTES = 128 * 1024 * 1024;
const KEPT_BYTES = 1024 * 1024;

/** Writes frames into one growing buffer; `flush` writes them to the socket before it returns (B2). */
export class FrameWriter {
  #buffer = own(allocate(64 * 1024));
  #length = 0;
  #write;

  /** @param {(buffer: Buffer, length: number) => void} write */
  constructor(write) { this.#write = write; }

  /** @param {number} kind @param {string} payload JSON text */
  json(kind, payload) {
    const start = this.#open(kind, payload.length * 3);
    this.#length += this.#buffer.write(payload, this.#length);
    this.#close(start);
  }

  /** @param {number} kind @param {string} head JSON text @param {string | Uint8Array | null} body
   *  @param {number} [limit] of the body, in bytes
   *  @returns {number} size of the body in bytes; nothing is written if it exceeds the limit */
  withBody(kind, head, body, limit = MAX_FRAME_BYTES) {
    const size = body === null ? 0 : body.length;
    if (size > limit) return size;
    const start = this.#open(kind, 4 + head.length * 3 + (typeof body === 'string' ? size * 3 : size));
    const headBytes = this.#buffer.write(head, this.#length + 4);
    this.#buffer.writeUInt32LE(headBytes, this.#length);
    this.#length += 4 + headBytes;
    let bodyBytes = size;
    if (typeof body === 'string') bodyBytes = this.#buffer.write(body, this.#length);
    else if (body !== null) this.#buffer.set(body, this.#length);
    this.#length += bodyBytes;
    if (bodyBytes > limit) this.#length = start; else this.#close(start);
    return bodyBytes;
  }

  flush() {
    const length = this.#length;
    if (length === 0) return;
    this.#length = 0;
    this.#write(this.#buffer, length);
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = own(allocate(64 * 1024));
  }

  /** @param {number} kind @param {number} atMost bytes of the payload */
  #open(kind, atMost) {
    const start = this.#length;
    const needed = start + 5 + atMost;
    if (needed > this.#buffer.length) {
      const larger = own(allocate(needed * 2));
      larger.set(this.#buffer.subarray(0, start));
      this.#buffer = larger;
    }
    this.#buffer[start + 4] = kind;
    this.#length = start + 5;
    return start;
  }

  /** @param {number} start */
  #close(start) {
    const length = this.#length - start - 4;
    if (length > MAX_FRAME_BYTES) {
      this.#length = start;
      throw coded(
        new Error(`a message of ${length} bytes is over the worker protocol's limit of ${MAX_FRAME_BYTES}`), 'SENDOFF_FRAME_TOO_LARGE');
    }
    this.#buffer.writeUInt32LE(length, start);
  }
}

/** Copies the methods to the buffer, so that patched prototypes have no effect. @param {Buffer} buffer @returns {Buffer} */
function own(buffer) {
  buffer.write = Buffer.prototype.write;
  buffer.writeUInt32LE = Buffer.prototype.writeUInt32LE;
  buffer.set = Buffer.prototype.set;
  buffer.subarray = Buffer.prototype.subarray;
  return buffer;
}

/** @param {any} error @param {string} code */
export function coded(error, code) {
  error.code = code;
  return error;
}

/** @param {import('node:net').Socket} socket @returns {(buffer: Buffer, length: number) => void} */
export function socketSink(socket) {
  const fd = /** @type {any} */ (socket)._handle?.fd;
  // A named pipe on Windows has no descriptor: libuv writes what fits at once and keeps the rest.
  if (typeof fd !== 'number' || fd < 0) return (buffer, length) => { socket.write(bufferFrom(buffer.subarray(0, length))); };
  return (buffer, length) => {
    for (let at = 0; at < length;) {
      try {
        at += writeSync(fd, buffer, at, length - at);
      } catch (error) {
        if (/** @type {any} */ (error).code === 'EAGAIN') pause();
        else if (/** @type {any} */ (error).code !== 'EINTR') reallyExit(0); // the server has ended
      }
    }
  };
}

/** Splits the data of the socket into frames. @param {(kind: number, payload: any, json: string) => void} onFrame
 *  @returns {(chunk: Buffer) => void} */
export function frameReader(onFrame) {
  /** @type {Buffer[]} */ let parts = [];
  let held = 0, needed = 5;
  return chunk => {
    if (held > 0) {
      parts[parts.length] = chunk;
      held += chunk.length;
      if (held < needed) return;
      chunk = joinBuffers(parts);
      parts = [];
      held = 0;
      needed = 5;
    }
    let at = 0;
    while (chunk.length - at >= 5) {
      const length = chunk[at] | chunk[at + 1] << 8 | chunk[at + 2] << 16 | chunk[at + 3] << 24;
      if (length < 1 || length > MAX_READ_BYTES) throw coded(new Error(`a frame of ${length} bytes`), 'SENDOFF_PROTOCOL');
      if (chunk.length - at < 4 + length) { needed = 4 + length; break; }
      const json = decode(chunk, 'utf8', at + 5, at + 4 + length);
      onFrame(chunk[at + 4], parseJson(json), json);
      at += 4 + length;
    }
    if (at < chunk.length) {
      parts[0] = at === 0 ? chunk : own(chunk).subarray(at);
      held = parts[0].length;
    }
  };
}
