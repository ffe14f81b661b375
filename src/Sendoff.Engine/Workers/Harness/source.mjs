// @ts-check
// Event sources (K): components whose `run(event)` and hooks emit events, which start the workflow.
import { pathToFileURL } from 'node:url';
import { apply, parseJson, text, toJson } from './globals.mjs';
import { KEEP, coded } from './frames.mjs';
import { ask } from './ask.mjs';
import { encodeEvent } from './destinations.mjs';
import { mustBeLive, sender, worker } from './step.mjs';
import { valueOf } from './stores.mjs';

/** @typedef {import('./step.mjs').Call} Call */

const HOOKS = ['deploy', 'activate', 'deactivate'];
const KEPT_BYTES = 64 * 1024;

/** @param {import('./load.mjs').Step} step */
export async function loadSource(step) {
  const exports = await import(pathToFileURL(step.file).href);
  let component = exports.default ?? exports['module.exports'];
  if (component?.__esModule === true && component.default !== undefined) component = component.default;
  if (component === null || typeof component !== 'object' || (typeof component.run !== 'function' && typeof component.hooks !== 'object'))
    throw new TypeError('the module has no event source: use export default { props: {...}, async run(event) { this.$emit(...) } }');
  step.component = component;
}

/** What the server has to know of a source. @param {import('./load.mjs').Step} step @param {any} configured */
export function factsOf(step, configured) {
  const { component, definitions } = step;
  /** @type {any} */ const facts = {
    dedupe: component.dedupe, hooks: HOOKS.filter(name => typeof component.hooks?.[name] === 'function'),
  };
  for (const [name, definition] of Object.entries(definitions ?? {})) {
    if (definition.type === '$.interface.http') facts.http = { customResponse: definition.customResponse === true };
    if (definition.type === '$.interface.timer') facts.timer = configured?.[name] ?? definition.default ?? definition.static ?? {};
    if (definition.type === '$.interface.apphook') facts.appHook = true;
  }
  return facts;
}

/** @param {Call} call @param {any} self */
export function callSource(call, self) {
  const { component } = call.step, { hook } = call.run.frame;
  self.$emit = sender(call, '$emit', args => encodeEvent(call.step.name, args));
  if (hook !== undefined) return apply(component.hooks[hook], self, []);
  if (typeof component.run !== 'function') return undefined;
  return apply(component.run, self, [call.event]);
}

/** All that a source has kept, by key. @param {Call} call @returns {Promise<Record<string, string>>} */
export async function loadDb(call) {
  const db = /** @type {any} */ ({ __proto__: null });
  for (let after = ''; ;) {
    const page = await ask(call, '$.service.db', 'entries', after === '' ? '{}' : `{"after":${toJson(after)}}`);
    if (page.length === 0) return db;
    for (let i = 0; i < page.length; i++) db[page[i][0]] = toJson(page[i][1]);
    after = page[page.length - 1][0];
  }
}

/** `$.service.db` of a source: a change is part of its run, and is stored when the run is committed (K2). */
export class SourceDb {
  #call;

  /** @param {Call} call */
  constructor(call) { this.#call = call; }

  /** @param {any} key @returns {any} */
  get(key) {
    const json = this.#all()[text(key)];
    return json === undefined ? undefined : parseJson(json);
  }

  /** @param {any} key @param {any} value undefined removes the key */
  set(key, value) {
    const all = this.#all(), name = text(key), json = value === undefined ? undefined : valueOf(key, value), before = all[name];
    if (json === undefined) delete all[name]; else all[name] = json;
    if (toJson(all).length > KEPT_BYTES) {
      if (before === undefined) delete all[name]; else all[name] = before;
      throw coded(
        new Error(`$.service.db would have more than ${KEPT_BYTES} bytes, its limit: ${name} is kept as it was`),
        'SENDOFF_CHECKPOINT_TOO_LARGE');
    }
    const { run, step } = this.#call;
    const member = json === undefined ? '' : `,"value":${json}`;
    worker.writer.json(KEEP, `{"run":${run.number},"step":${step.index},"key":${toJson(name)}${member}}`);
    worker.writer.flush();
  }

  #all() {
    mustBeLive(this.#call, '$.service.db');
    const db = this.#call.kept?.db;
    if (db === null || db === undefined)
      throw coded(new Error('$.service.db was used after its run had ended. Await all promises in the source'), 'SENDOFF_RUN_ENDED');
    return db;
  }
}
