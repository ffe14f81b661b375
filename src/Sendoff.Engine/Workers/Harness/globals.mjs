// @ts-check
// Built-ins that the harness uses, captured before user code can replace them (E9).
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import util from 'node:util';
import { EventEmitter } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { AsyncLocalStorage as Als } from 'node:async_hooks';
import { isUtf8 as isUtf8Text } from 'node:buffer';

const uncurry = Function.prototype.bind.bind(Function.prototype.call);
const { getOwnPropertyDescriptor, getOwnPropertyNames } = Object;

/** @template T @param {new (...args: any[]) => T} type @param {string} key @returns {(self: any) => any} */
const getter = (type, key) => uncurry(/** @type {any} */ (getOwnPropertyDescriptor(type.prototype, key)).get);

export const { stringify: toJson, parse: parseJson } = JSON;
export const { keys, assign, defineProperty, getPrototypeOf } = Object;
export const { isArray } = Array;
export const { captureStackTrace } = Error;
export const { isInteger } = Number;
export const { round } = Math;
export const { apply } = Reflect;
export const now = Date.now;
export const clock = performance.now.bind(performance);
export const loop = performance.nodeTiming;
export const { writeSync } = fs;
export const { inspect, format, types } = util;
export const later = setImmediate;
const { wait } = Atomics, neverWoken = new Int32Array(new SharedArrayBuffer(4));
/** Blocks this thread for a millisecond, so that other threads proceed. */
export const pause = () => wait(neverWoken, 0, 0, 1);
export const encodeComponent = encodeURIComponent;
export const text = String;
export const Pattern = RegExp;
const Compiled = Function;

/** @type {(self: Function, receiver: any) => any} */
export const bind = uncurry(Function.prototype.bind);
/** @type {(self: object, key: PropertyKey) => boolean} */
export const hasOwn = Object.hasOwn;
/** @type {<T>(self: Promise<T>, ok: (value: T) => any, bad?: (error: any) => any) => Promise<any>} */
export const then = uncurry(Promise.prototype.then);
/** @type {<T>(value: T | PromiseLike<T>) => Promise<T>} */
export const resolve = Promise.resolve.bind(Promise);
/** @type {(self: RegExp, value: string) => RegExpExecArray | null} */
export const exec = uncurry(RegExp.prototype.exec);
/** @type {(self: string, from?: number, to?: number) => string} */
export const slice = uncurry(String.prototype.slice);
/** @type {(self: string) => string} */
export const upper = uncurry(String.prototype.toUpperCase);
/** @type {(self: string) => string} */
export const lower = uncurry(String.prototype.toLowerCase);
/** @type {(self: string) => string} */
export const trim = uncurry(String.prototype.trim);
/** @type {(self: string, part: string, from?: number) => number} */
export const indexOf = uncurry(String.prototype.indexOf);
/** @type {(self: string, at: number) => number} */
export const codeAt = uncurry(String.prototype.charCodeAt);
/** @type {(self: string, separator: string) => string[]} */
export const split = uncurry(String.prototype.split);
/** @type {(self: string[], separator: string) => string} */
export const join = uncurry(Array.prototype.join);
/** @type {(self: string) => string} */
export const wellFormed = uncurry(String.prototype.toWellFormed);
/** @type {(self: Date) => string} */
export const isoDate = uncurry(Date.prototype.toISOString);

export const Url = URL;
export const url = {
  href: getter(URL, 'href'), protocol: getter(URL, 'protocol'), hostname: getter(URL, 'hostname'), port: getter(URL, 'port'),
  username: getter(URL, 'username'), password: getter(URL, 'password'),
  toString: uncurry(URLSearchParams.prototype.toString),
  /** @type {(self: URLSearchParams, each: (value: string, key: string) => void) => void} */
  each: uncurry(URLSearchParams.prototype.forEach),
};
export const QueryParams = URLSearchParams;
const { FormData: Form, Headers: HeaderList, Response: FetchResponse } = globalThis;
/** @param {any} value */
export const isForm = value => value instanceof Form;
/** @type {(self: FormData, each: (value: any, key: string) => void) => void} */
export const eachField = uncurry(Form.prototype.forEach);
/** @param {any} value */
export const isHeaderList = value => value instanceof HeaderList;
/** @type {(self: Headers, each: (value: string, name: string) => void) => void} */
export const eachHeader = uncurry(HeaderList.prototype.forEach);
/** @param {any} value */
export function isFetchResponse(value) {
  try { return value !== null && typeof value === 'object' && value instanceof FetchResponse; } catch { return false; }
}
export const response = {
  status: getter(FetchResponse, 'status'), statusText: getter(FetchResponse, 'statusText'), url: getter(FetchResponse, 'url'),
  headers: getter(FetchResponse, 'headers'),
};
/** @type {(self: Map<any, any>, each: (value: any, key: any) => void) => void} */
export const eachEntry = uncurry(Map.prototype.forEach);
/** @type {(self: Set<any>, each: (value: any) => void) => void} */
export const eachMember = uncurry(Set.prototype.forEach);
export const Bytes = Blob;
export const blob = {
  size: getter(Blob, 'size'), type: getter(Blob, 'type'),
  /** @type {(self: Blob) => Promise<ArrayBuffer>} */
  read: uncurry(Blob.prototype.arrayBuffer),
};
/** @type {(value: any, a?: any, b?: any) => Buffer} */
export const bufferFrom = Buffer.from.bind(Buffer);
export const byteLength = Buffer.byteLength.bind(Buffer);
export const isUtf8 = isUtf8Text;
export const joinBuffers = Buffer.concat.bind(Buffer);
export const allocate = Buffer.allocUnsafeSlow.bind(Buffer);
/** @type {(self: Uint8Array, other: Uint8Array, from?: number) => number} */
export const indexOfBytes = uncurry(Buffer.prototype.indexOf);
/** @type {(self: Buffer, from?: number, to?: number) => Buffer} */
export const partOf = uncurry(Buffer.prototype.subarray);
/** @type {(self: Buffer, encoding: string, from?: number, to?: number) => string} */
export const decode = uncurry(Buffer.prototype.toString);

export const AsyncLocalStorage = Als;
export const storeOf = uncurry(Als.prototype.getStore);
export const runWith = uncurry(Als.prototype.run);

export const activeResources = process.getActiveResourcesInfo.bind(process);
export const reallyExit = /** @type {any} */ (process).reallyExit.bind(process);

/** Objects whose functions a step may replace: then the worker is not reused (E9). @type {any[]} */
const watched = [
  Object, Object.prototype, Function.prototype, Array, Array.prototype, getPrototypeOf([][Symbol.iterator]()), String.prototype,
  Number.prototype, RegExp.prototype, Promise, Promise.prototype, Map.prototype,
  Set.prototype, Date, Date.prototype, Error, JSON, Math, Reflect, URL.prototype, URLSearchParams.prototype, Buffer, Buffer.prototype,
  getPrototypeOf(Uint8Array.prototype),
  EventEmitter.prototype, Readable.prototype, Writable.prototype, net.Socket.prototype, Als, Als.prototype, Symbol.prototype,
  HeaderList.prototype,
];
const watchedNames = new Map(/** @type {[any, string[]][]} */ ([
  [fs, ['writeSync', 'readFileSync', 'writeFileSync', 'createReadStream']], [net, ['connect', 'createConnection']],
  [http, ['request', 'get']], [https, ['request', 'get']],
]));

/** Whether a built-in was replaced, or a property added to all objects or arrays. */
export let builtinsChanged = () => false;

/** Accepts changes of the loaded modules (polyfills, instrumentation). */
export function acceptBuiltins() {
  const { ownKeys } = Reflect, { prototype } = Object, all = ownKeys(prototype).length, inLists = countIn([]);
  const replaced = comparison([...watched, ...watchedNames.keys()], [...watched.map(getOwnPropertyNames), ...watchedNames.values()]);
  builtinsChanged = () => replaced() || ownKeys(prototype).length !== all || countIn([]) !== inLists;
}

/**
 * Returns a check whether a function of these objects has been replaced. It is generated code, because it runs after each run: 400
 * property loads take less than a microsecond, a loop over names takes ten. It uses no array methods, which a step may have replaced.
 * @param {any[]} objects @param {string[][]} names of the functions of each
 * @returns {() => boolean}
 */
function comparison(objects, names) {
  /** @type {any[]} */ const values = [];
  let owners = '', differs = 'false';
  for (let o = 0; o < objects.length; o++) {
    owners += `const o${o} = o[${o}];`;
    for (let n = 0; n < names[o].length; n++) {
      const name = names[o][n];
      if (typeof getOwnPropertyDescriptor(objects[o], name)?.value !== 'function') continue;
      differs += ` || o${o}[${toJson(name)}] !== v[${values.length}]`;
      values[values.length] = objects[o][name];
    }
  }
  return new Compiled('o', 'v', `${owners} return () => ${differs}`)(objects, values);
}

/** Enumerable names of a list include properties added to Array.prototype. @param {any} list */
function countIn(list) {
  let found = 0;
  for (const _ in list) found++;
  return found;
}
