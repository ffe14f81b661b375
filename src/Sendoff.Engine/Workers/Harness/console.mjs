// @ts-check
// Converts console calls and writes to stdout and stderr to log lines of the calling step (E5).
import { Console } from 'node:console';
import { apply, bufferFrom, decode, defineProperty, slice } from './globals.mjs';

/** @typedef {'log' | 'info' | 'warn' | 'error' | 'debug'} Level */

/** @type {Record<string, Level>} */
const LEVELS = {
  log: 'log', dir: 'log', dirxml: 'log', table: 'log', group: 'log', groupCollapsed: 'log', groupEnd: 'log', count: 'log',
  countReset: 'warn', time: 'warn', timeLog: 'log', timeEnd: 'log',
  info: 'info', debug: 'debug', warn: 'warn', assert: 'warn', error: 'error', trace: 'error',
};
const STATEFUL = { __proto__: null, group: 1, groupCollapsed: 1, count: 1, time: 1 };

/** @param {(level: Level, text: string) => void} emit @returns {() => void} forgets groups, counters and timers: for the end of a run */
export function captureConsole(emit) {
  /** @type {Level} */ let level = 'log';
  let stateful = false;
  /** @type {(chunk: any) => boolean} */
  const write = chunk => { emit(level, withoutNewline(chunk)); return true; };
  const stream = /** @type {any} */ ({ write, on() {}, once() {}, removeListener() {}, listenerCount: () => 0 });
  const fresh = () => /** @type {any} */ (new Console({ stdout: stream, stderr: stream, ignoreErrors: false, colorMode: false }));
  let inner = fresh();

  for (const name in LEVELS) {
    const method = (/** @type {any[]} */ ...values) => {
      level = LEVELS[name];
      if (name in STATEFUL) stateful = true;
      if (values.length === 1 && typeof values[0] === 'string' && !stateful && (name === 'log' || name === level)) emit(level, values[0]);
      else apply(inner[name], inner, values);
    };
    defineProperty(method, 'name', { value: name });
    /** @type {any} */ (console)[name] = method;
  }
  replaceWrite(process.stdout, 'log', emit);
  replaceWrite(process.stderr, 'error', emit);

  return () => {
    if (!stateful) return;
    stateful = false;
    inner = fresh();
  };
}

/** @param {NodeJS.WriteStream} stream @param {Level} level @param {(level: Level, text: string) => void} emit */
function replaceWrite(stream, level, emit) {
  /** @type {any} */ (stream).write = (/** @type {any} */ chunk, /** @type {any} */ encoding, /** @type {any} */ done) => {
    emit(level, withoutNewline(typeof chunk === 'string' ? chunk : decode(bufferFrom(chunk), 'utf8')));
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') process.nextTick(callback);
    return true;
  };
}

/** @param {string} value */
const withoutNewline = value => value[value.length - 1] === '\n' ? slice(value, 0, -1) : value;
