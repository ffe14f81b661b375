// @ts-check
// The globals that every step starts with (E9): their state after the modules were loaded. Changes by a step are undone when the
// step ends. Modules keep their state, including changes to globals while they are loaded, also if a step loads them with `require`.
import diagnostics from 'node:diagnostics_channel';
import process from 'node:process'; // a step may delete the global
import vm from 'node:vm';
import Module, { syncBuiltinESMExports } from 'node:module';
import { apply, defineProperty, getPrototypeOf, hasOwn, isArray, join, toJson } from './globals.mjs';

/** An object whose own properties are restored: those of `names`, or all of them, in which case added ones are removed.
 *  @typedef {{ object: any, names?: PropertyKey[] }} Place */
/** @typedef {{ object: any, whole: boolean, names: PropertyKey[], kept: Record<PropertyKey, PropertyDescriptor | undefined> }} Snapshot
 *  `kept` is undefined for inherited properties */
/** The listeners of an event, as stored by Node.js (a function or a list) and as a copy.
 *  @typedef {{ name: PropertyKey, held: any, list: Function[] }} Listeners */

const { ownKeys, deleteProperty, set: assignTo, defineProperty: define, setPrototypeOf } = Reflect;
const { getOwnPropertyDescriptor, getOwnPropertySymbols, isExtensible, is } = Object;
const getterOf = Function.prototype.call.bind(/** @type {any} */ (Object.prototype).__lookupGetter__);
const cwd = process.cwd.bind(process), chdir = process.chdir.bind(process);
/** @type {((...args: any[]) => any)[]} */
const [on, off, rawListeners] = ['on', 'removeListener', 'rawListeners'].map(name => /** @type {any} */ (process)[name].bind(process));
/** The real variables, which time zones and child processes use. */ const variables = process.env;

const prototype = getPrototypeOf(globalThis), theConsole = console;

/** @type {Place[]} */
const places = [
  { object: globalThis }, { object: prototype }, { object: theConsole, names: Object.keys(theConsole) },
  {
    object: process,
    names: [
      'env', 'argv', 'exit', 'reallyExit', 'abort', 'kill', 'on', 'once', 'addListener', 'off', 'removeListener', 'removeAllListeners',
      'emit', 'emitWarning', 'nextTick', 'cwd', 'chdir', 'hrtime', 'memoryUsage', 'stdout', 'stderr',
    ],
  },
  { object: process.stdout, names: ['write'] }, { object: process.stderr, names: ['write'] },
];

/** Global variables of Node.js. @type {Record<PropertyKey, true>} */
const variablesOfNode = Object.fromEntries(ownKeys(globalThis).map(name => [name, true]));

/** @type {Snapshot[]} */ let snapshots = [];
/** `process.env` @type {Record<string, string>} */ let variablesKept = {};
/** @type {Listeners[]} */ let listenersKept = [];
let folderKept = '', variablesTouched = false, enumerableKept = 0, symbolsKept = 0;
/** A non-enumerable property may have been defined, which is expensive to detect. */ let touched = false;
/** A change cannot be undone: the worker must not be reused. */ let beyond = false;
let valuesChanged = () => false, isExecuting = () => false;

/** Call before any user code. @param {() => boolean} executing whether a step executes */
export function watchGlobals(executing) {
  isExecuting = executing;
  watchVariables();
  for (const [owner, name] of /** @type {[any, string][]} */ (
    [[Object, 'defineProperty'], [Object, 'defineProperties'], [Reflect, 'defineProperty']])) {
    watchCalls(owner, name,
      target => { if (target === globalThis || target === prototype || target === theConsole || target === process) touched = true; });
  }
  // A script may declare names that are not visible on any object and cannot be removed.
  for (const owner of [vm, vm.Script.prototype]) watchCalls(owner, 'runInThisContext', () => { if (isExecuting()) beyond = true; });
  watchModules();
  syncBuiltinESMExports();
}

/** Wraps `process.env`, which is too slow to compare. */
function watchVariables() {
  const value = new Proxy(variables, {
    set(target, name, text) { variablesTouched = true; return assignTo(target, name, text); },
    deleteProperty(target, name) { variablesTouched = true; return deleteProperty(target, name); },
    defineProperty(target, name, descriptor) { variablesTouched = true; return define(target, name, descriptor); },
  });
  defineProperty(process, 'env', { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

/** @param {any} owner @param {string} name @param {(first: any) => void} called */
function watchCalls(owner, name, called) {
  const original = owner[name];
  const watched = { [name](/** @type {any[]} */ ...args) { called(args[0]); return apply(original, this, args); } }[name];
  defineProperty(watched, 'length', { __proto__: null, value: original.length, configurable: true });
  defineProperty(owner, name, { __proto__: null, value: watched, writable: true, configurable: true });
}

function watchModules() {
  const target = /** @type {any} */ (Module).prototype, { load } = target;
  let depth = 0;
  target.load = function (/** @type {any[]} */ ...args) {
    if (depth > 0 || !isExecuting()) return apply(load, this, args);
    const unclear = globalsChanged();
    depth++;
    try { return apply(load, this, args); } finally { depth--; moduleLoaded(unclear); }
  };
  /** @type {Record<string, true>} */ const imported = /** @type {any} */ ({ __proto__: null });
  diagnostics.channel('tracing:module.import:asyncEnd').subscribe((/** @type {any} */ { url, parentURL }) => {
    const name = `${parentURL} ${url}`;
    if (imported[name]) return;
    imported[name] = true;
    if (isExecuting()) moduleLoaded(true); // the step may have changed globals in the meantime
  });
}

/** Keeps changes of a module. If the step may have made them, they are kept only for the rest of the run.
 *  @param {boolean} unclear */
function moduleLoaded(unclear) {
  if (!globalsChanged()) return;
  if (unclear) beyond = true;
  try { acceptGlobals(); } catch { beyond = true; } // a step has replaced required built-ins
}

/** Makes the current globals those that every step starts with. */
export function acceptGlobals() {
  snapshots = places.map(({ object, names: chosen }) => {
    const kept = /** @type {any} */ ({ __proto__: null }), names = chosen ?? ownKeys(object);
    for (const name of names) kept[name] = ownProperty(object, name);
    return { object, whole: chosen === undefined, names, kept };
  });
  valuesChanged = comparison();
  enumerableKept = countIn(globalThis);
  symbolsKept = getOwnPropertySymbols(globalThis).length;
  variablesKept = { __proto__: null, ...variables };
  folderKept = cwd();
  keepListeners();
  touched = variablesTouched = false;
}

/** Generates code that compares properties, as in acceptBuiltins. Global variables are compared by name, which V8 optimises to a check
 *  without reads.
 *  @returns {() => boolean} */
function comparison() {
  /** @type {string[]} */ const terms = [], declared = snapshots.map((_, o) => `o${o} = objects[${o}]`);
  /** @type {any[]} */ const values = [], keys = [];
  snapshots.forEach(({ object, names, kept }, o) => {
    for (const name of names) {
      const { get, value, configurable, writable } = kept[name] ?? { value: object[name], configurable: true }, at = values.length;
      if (!configurable && !writable) continue; // it cannot change
      const key = typeof name === 'string' ? toJson(name) : `k${at}`;
      if (typeof name !== 'string') declared.push(`${key} = keys[${at}]`);
      declared.push(`v${at} = values[${at}]`);
      const now = get !== undefined
        ? `getterOf(o${o}, ${key})` : object === globalThis && typeof name === 'string' && hasOwn(variablesOfNode, name)
          ? name : `o${o}[${key}]`;
      terms.push(`${now} !== v${at}`);
      values.push(get ?? value);
      keys.push(name);
    }
  });
  // A deleted variable throws.
  const make = new Function(
    'objects', 'values', 'keys', 'getterOf',
    `const ${join(declared, ', ')}; return () => { try { return ${join(terms, ' || ')} } catch { return true } }`);
  return make(snapshots.map(({ object }) => object), values, keys, getterOf);
}

/** Including inherited ones. @param {any} object */
function countIn(object) {
  let found = 0;
  for (const _ in object) found++;
  return found;
}

/** @param {any} object @param {PropertyKey} name @returns {any} */
function ownProperty(object, name) {
  const descriptor = getOwnPropertyDescriptor(object, name);
  if (descriptor !== undefined) setPrototypeOf(descriptor, null); // a step may have added `get` to Object.prototype
  return descriptor;
}

const globalsChanged = () => touched || variablesTouched || valuesChanged() || namesChanged() || listenersChanged() || cwd() !== folderKept;

/** Only enumerable names and symbols: listing all names takes ten times as long. */
const namesChanged = () => countIn(globalThis) !== enumerableKept || getOwnPropertySymbols(globalThis).length !== symbolsKept
  || !isExtensible(globalThis) || getPrototypeOf(globalThis) !== prototype;

/** At a step's end. @returns {boolean} whether all changes were undone */
export function restoreGlobals() {
  if (!globalsChanged()) return !beyond;
  try {
    restoreListeners(); // first, because listeners for new listeners may change more
    if (!setPrototypeOf(globalThis, prototype)) beyond = true;
    for (let i = 0; i < snapshots.length; i++) restoreProperties(snapshots[i]);
    restoreVariables();
    chdir(folderKept);
  } catch { beyond = true; }
  touched = variablesTouched = false;
  return !beyond;
}

/** @param {Snapshot} snapshot */
function restoreProperties({ object, whole, names, kept }) {
  if (!isExtensible(object)) beyond = true;
  const now = whole ? ownKeys(object) : [];
  for (let i = 0; i < now.length; i++) if (!(now[i] in kept) && !deleteProperty(object, now[i])) beyond = true;
  for (let i = 0; i < names.length; i++) {
    const name = names[i], was = kept[name];
    if (!same(ownProperty(object, name), was) && !(was === undefined ? deleteProperty(object, name) : define(object, name, was)))
      beyond = true;
  }
}

/** @param {PropertyDescriptor | undefined} now @param {PropertyDescriptor | undefined} kept */
const same = (now, kept) => now === undefined || kept === undefined
  ? now === kept : is(now.value, kept.value) && now.get === kept.get && now.set === kept.set
  && now.writable === kept.writable && now.enumerable === kept.enumerable && now.configurable === kept.configurable;

function restoreVariables() {
  if (!variablesTouched) return;
  const now = ownKeys(variables), kept = ownKeys(variablesKept);
  for (let i = 0; i < now.length; i++) if (!(now[i] in variablesKept)) deleteProperty(variables, now[i]);
  for (let i = 0; i < kept.length; i++) {
    const name = /** @type {string} */ (kept[i]);
    if (variables[name] !== variablesKept[name]) variables[name] = variablesKept[name];
  }
}

const heldListeners = () => /** @type {any} */ (process)._events;

function keepListeners() {
  const names = ownKeys(heldListeners());
  listenersKept = [];
  for (let i = 0; i < names.length; i++)
    listenersKept[i] = { name: names[i], held: heldListeners()[names[i]], list: rawListeners(names[i]) };
}

function listenersChanged() {
  if (/** @type {any} */ (process)._eventsCount !== listenersKept.length) return true;
  const now = heldListeners();
  for (let i = 0; i < listenersKept.length; i++) {
    const { name, held, list } = listenersKept[i];
    if (now[name] !== held || (isArray(held) && held.length !== list.length)) return true;
  }
  return false;
}

function restoreListeners() {
  if (!listenersChanged()) return;
  // first: among them are those of Node.js that start and stop signals
  for (let i = 0; i < listenersKept.length; i++) addMissing(listenersKept[i]);
  const names = ownKeys(heldListeners());
  for (let i = 0; i < names.length; i++) {
    let list = /** @type {Function[]} */ ([]);
    for (let j = 0; j < listenersKept.length; j++) if (listenersKept[j].name === names[i]) ({ list } = listenersKept[j]);
    const now = rawListeners(names[i]);
    for (let j = 0; j < now.length; j++) if (!contains(list, now[j])) off(names[i], now[j]);
  }
  keepListeners();
}

/** @param {Listeners} kept */
function addMissing({ name, list }) {
  for (let i = 0; i < list.length; i++) if (!contains(rawListeners(name), list[i])) on(name, list[i]);
}

/** @param {Function[]} list @param {Function} value */
function contains(list, value) {
  for (let i = 0; i < list.length; i++) if (list[i] === value) return true;
  return false;
}

/** Values that a step assigned to names of Sendoff. @typedef {Record<string, any>} Assigned */

/** Defines a name that can neither be deleted nor redefined. A value that a step assigns to it applies only to that step.
 *  @param {string} name @param {() => any} get @param {() => Assigned | null} assigned
 *  @param {(name: string, value: any) => void} assign */
export function layGlobal(name, get, assigned, assign) {
  define(globalThis, name, {
    get() { const own = assigned(); return own !== null && hasOwn(own, name) ? own[name] : get(); },
    set(value) { assign(name, value); },
  });
}
