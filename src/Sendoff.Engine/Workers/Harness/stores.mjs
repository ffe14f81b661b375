// @ts-check
// Data of a step that is kept between runs: data_store props, $.service.db props, $checkpoint and this.$checkpoint.
import { byteLength, keys as namesOf, parseJson, slice, text, then, toJson, types } from './globals.mjs';
import { coded } from './frames.mjs';
import { ask } from './ask.mjs';
import { loadDb } from './source.mjs';
import { worker } from './step.mjs';

/** @typedef {import('./step.mjs').Call} Call */
/** The initial values of the step as JSON, to detect changes. `db` has a JSON text for each key.
 *  @typedef {{ db: Record<string, string> | null, dbJson: string | undefined, hasCheckpoint: boolean, own: any, ownJson: string |
 *  undefined }} Kept */

const KEPT_BYTES = 64 * 1024;
const NOTHING = { db: false, checkpoint: false };

/** The value of a prop that is a store; undefined if the prop is not a store. @param {any} definition @param {any} value @param {Call} call
 *  @param {string} name */
export function storeProp(definition, value, call, name) {
  switch (typeof definition === 'string' ? definition : definition?.type) {
    case 'data_store': return new DataStore(call, storeName(value) ?? `${worker.workflow.name}-${name}`);
    case '$.service.db': return new StepDb(call);
    default: return undefined;
  }
}

/** @param {any} value `{ storeId }`, or a name */
function storeName(value) {
  if (typeof value === 'string' && value !== '') return value;
  return typeof value?.storeId === 'string' ? value.storeId : undefined;
}

class DataStore {
  #call; #store;

  /** @param {Call} call @param {string} store */
  constructor(call, store) { this.#call = call; this.#store = `{"store":${toJson(store)}`; }

  /** @param {string} method @param {string} [more] further arguments, `,"name":json` */
  #ask(method, more = '') { return ask(this.#call, `the data store's ${method}`, method, `${this.#store}${more}}`); }

  /** @param {string} key @returns {Promise<any>} undefined when there is none */
  async get(key) { return this.#ask('get', keyOf(key)); }
  /** @param {string} key @param {any} value JSON @param {{ ttl?: number }} [options] seconds */
  async set(key, value, options) { return this.#ask('set', `${keyOf(key)},"value":${valueOf(key, value)}${ttlOf(options?.ttl)}`); }
  /** @param {string} key @param {number | null} ttl seconds; null is for ever
   *  @returns {Promise<boolean>} false if the key does not exist */
  async setTtl(key, ttl) { return this.#ask('setTtl', keyOf(key) + ttlOf(ttl)); }
  /** @param {string} key @returns {Promise<boolean>} */
  async has(key) { return this.#ask('has', keyOf(key)); }
  /** @param {string} key @returns {Promise<boolean>} */
  async delete(key) { return this.#ask('delete', keyOf(key)); }
  async clear() { return this.#ask('clear'); }
  /** @returns {Promise<number>} */
  async size() { return this.#ask('size'); }
  /** @returns {Promise<string[]>} */
  async keys() { return this.#all('keys', key => key, key => key); }
  /** @returns {Promise<any[]>} */
  async values() { return this.#all('entries', entry => entry[0], entry => entry[1]); }
  /** @returns {Promise<[string, any][]>} */
  async entries() { return this.#all('entries', entry => entry[0], entry => entry); }

  async *[Symbol.asyncIterator]() {
    for (let page = await this.#page('entries', ''); page.length > 0; page = await this.#page('entries', page[page.length - 1][0]))
      for (let i = 0; i < page.length; i++) yield page[i];
  }

  /** @param {string} method @param {string} after a key @returns {Promise<any[]>} */
  #page(method, after) { return this.#ask(method, after === '' ? '' : `,"after":${toJson(after)}`); }

  /** @param {string} method @param {(item: any) => string} key @param {(item: any) => any} pick */
  async #all(method, key, pick) {
    const all = [];
    for (let page = await this.#page(method, ''); page.length > 0; page = await this.#page(method, key(page[page.length - 1])))
      for (let i = 0; i < page.length; i++) all[all.length] = pick(page[i]);
    return all;
  }
}

/** @param {any} key */
function keyOf(key) {
  if ((typeof key !== 'string' && typeof key !== 'number') || key === '')
    throw coded(new TypeError(`a data store's key is a text, not ${key === '' ? 'an empty one' : typeof key}`), 'SENDOFF_STORE_KEY');
  return `,"key":${toJson(text(key))}`;
}

/** @param {any} key @param {any} value */
export function valueOf(key, value) {
  const json = types.isPromise(value) ? undefined : toJson(value);
  if (json === undefined)
    throw coded(
      new TypeError(`the value of ${text(key)} has no JSON form${types.isPromise(value) ? ': it is a Promise, await it first' : ''}`),
      'SENDOFF_STORE_VALUE');
  return json;
}

/** @param {any} ttl */
function ttlOf(ttl) {
  if (ttl === undefined || ttl === null) return '';
  return `,"ttl":${typeof ttl === 'number' ? toJson(ttl) ?? 0 : toJson(text(ttl))}`;
}

/** As on Pipedream, reads and writes are synchronous: the data is loaded before the step and saved after it. */
class StepDb {
  #call;

  /** @param {Call} call */
  constructor(call) { this.#call = call; }

  /** @param {string} key @returns {any} */
  get(key) {
    const json = this.#all()[text(key)];
    return json === undefined ? undefined : parseJson(json);
  }

  /** @param {string} key @param {any} value undefined removes the key */
  set(key, value) {
    const all = this.#all();
    if (value === undefined) delete all[text(key)]; else all[text(key)] = valueOf(key, value);
  }

  #all() {
    const db = this.#call.kept?.db;
    if (db === null || db === undefined)
      throw coded(new Error('$.service.db was used after its step had ended. Await all promises in the step'), 'SENDOFF_RUN_ENDED');
    return db;
  }
}

/** The data that a step keeps, by its source and its props. @param {import('./load.mjs').Step} step */
function needsOf(step) {
  const props = step.component?.props;
  let db = false;
  for (const name in props) if (props[name] === '$.service.db' || props[name]?.type === '$.service.db') db = true;
  const checkpoint = !step.isSource && step.source.includes('$checkpoint');
  return db || checkpoint ? { db, checkpoint } : NOTHING;
}

/** Loads the data before a step; null if it keeps none. @param {Call} call @returns {Promise<void> | null} */
export function loadKept(call) {
  const needs = call.step.keeps ??= needsOf(call.step);
  return needs === NOTHING ? null : load(call, needs);
}

/** @param {Call} call @param {typeof NOTHING} needs */
async function load(call, needs) {
  const { run, step } = call;
  if (step.isSource) {
    call.kept = { db: await loadDb(call), dbJson: undefined, hasCheckpoint: false, own: undefined, ownJson: undefined };
    return;
  }
  const read = (/** @type {string} */ key) => ask(call, 'what the step keeps', 'get', `{"key":${toJson(key)}}`);
  const db = needs.db ? read(`db:${step.name}`) : undefined;
  const shared = needs.checkpoint && !run.hasCheckpoint ? read('checkpoint') : undefined;
  const own = needs.checkpoint ? read(`checkpoint:${step.name}`) : undefined;
  /** @type {Kept} */ const kept = { db: null, dbJson: undefined, hasCheckpoint: needs.checkpoint, own: await own, ownJson: undefined };
  kept.ownJson = toJson(kept.own);
  if (shared !== undefined) {
    run.checkpoint = await shared;
    run.checkpointJson = toJson(run.checkpoint);
    run.hasCheckpoint = true;
  }
  if (db !== undefined) {
    const all = await db ?? {};
    kept.db = /** @type {any} */ ({ __proto__: null });
    for (const name of namesOf(all)) /** @type {any} */ (kept.db)[name] = toJson(all[name]);
    kept.dbJson = dbJson(/** @type {any} */ (kept.db));
  }
  call.kept = kept;
}

/** Saves changes after a step, whatever its result; the step waits for it. @param {Call} call
 *  @returns {boolean} whether there were changes */
export function saveKept(call) {
  const { kept, run, step } = call;
  if (kept === null) return false;
  call.kept = null;
  let changed = false;
  /** @param {string} key @param {string} what @param {string | undefined} json @param {string | undefined} before */
  const save = (key, what, json, before) => {
    if (json === before) return;
    if (json !== undefined && byteLength(json) > KEPT_BYTES)
      throw coded(
        new Error(`${what} has ${byteLength(json)} bytes of JSON, over its limit of ${KEPT_BYTES}: it is kept as it was`),
        'SENDOFF_CHECKPOINT_TOO_LARGE');
    changed = true;
    const args = `{"key":${toJson(key)}`;
    then(json === undefined ? ask(call, what, 'delete', `${args}}`) : ask(call, what, 'set', `${args},"value":${json}}`), () => {},
      error => worker.afterReading(call, true, error));
  };
  if (kept.db !== null && !step.isSource) save(`db:${step.name}`, '$.service.db', dbJson(kept.db), kept.dbJson);
  if (kept.hasCheckpoint) {
    if (call.self !== null) save(`checkpoint:${step.name}`, 'this.$checkpoint', toJson(call.self.$checkpoint), kept.ownJson);
    const json = toJson(run.checkpoint), before = run.checkpointJson;
    save('checkpoint', '$checkpoint', json, before);
    run.checkpointJson = json;
  }
  return changed;
}

/** @param {Record<string, string>} db */
function dbJson(db) {
  let json = '';
  for (const name in db) json += `,${toJson(name)}:${db[name]}`;
  return json === '' ? undefined : `{${slice(json, 1)}}`;
}
