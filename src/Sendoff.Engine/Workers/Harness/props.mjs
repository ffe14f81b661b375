// @ts-check
// The configuration of a step: the values of its props, their definitions, and a component's `this`.
import { assign, bind, byteLength, hasOwn, keys, parseJson, text, toJson } from './globals.mjs';
import { ConfigurationError } from './errors.mjs';
import { coded } from './frames.mjs';
import { compileValue } from './templates.mjs';
import { worker } from './step.mjs';
import { objectTypes } from './propObjects.mjs';

/** @typedef {import('./step.mjs').Call} Call */
/** @typedef {{ type?: string, default?: any, optional?: boolean, hidden?: boolean, disabled?: boolean, secret?: boolean,
 *  [other: string]: any }} Definition */
/** @typedef {{ name: string, json: string, secret: boolean, evaluate: import('./templates.mjs').Evaluate | null }} Prop `json` is its value
 *  where nothing is evaluated */
/** `fixed` is the JSON of props without templates, `fixedShown` is its recorded form; null if there are no props.
 *  @typedef {{ props: Prop[], fixed: string | null, fixedShown: string | null } | null} Inputs */
/** @typedef {Record<string, Definition>} Definitions */

/** Types with plain values, also with `[]`. */
const VALUE = /^(?:string|boolean|integer|number|object|any)(?:\[\])?$/;
const COVER = '"••••••••"';

/** The definitions of a component's props, with those of the app resolved. @param {any} component @returns {Definitions | null} */
export function definitionsOf(component) {
  const defined = component?.props;
  if (defined === null || typeof defined !== 'object' || Object.keys(defined).length === 0) return null;
  return Object.fromEntries(Object.keys(defined).map(name => [name, definitionOf(name, defined[name])]));
}

/** @param {string} name @param {any} given @param {number} [depth] @returns {Definition} */
function definitionOf(name, given, depth = 0) {
  if (typeof given === 'string') return { type: given };
  if (given === null || typeof given !== 'object') return {};
  if (!Array.isArray(given.propDefinition) || depth > 20) return normal(given);
  const [app, key] = given.propDefinition;
  const base = app?.propDefinitions?.[key];
  if (base === undefined)
    throw new Error(
      `prop ${name}: its propDefinition names "${String(key)}", which the app ${app?.app ?? ''} does not define`.replace('app  ', 'app '));
  const { propDefinition, ...own } = given;
  return normal({ ...definitionOf(name, base, depth + 1), ...own });
}

/** Normalises types such as `*number` and `Integer`. @param {any} definition @returns {Definition} */
const normal = definition => typeof definition.type === 'string' ? { ...definition, type: definition.type.replace(/^\*/, '') } : definition;

const MOST_DESCRIBED = 64 * 1024;

/** The description of props for forms; undefined if it is not JSON. @param {Definitions | null} definitions
 *  @returns {object[] | undefined} */
export function described(definitions) {
  if (definitions === null) return undefined;
  try {
    const json = toJson(Object.entries(definitions).map(([name, definition]) => ({
      name, ...definition, options: optionsOf(definition), propDefinition: undefined, methods: undefined, propDefinitions: undefined,
    })));
    return json.length > MOST_DESCRIBED ? undefined : parseJson(json);
  } catch { return undefined; }
}

/** Options from a function are not supported. @param {Definition} definition */
const optionsOf = ({ options }) => !Array.isArray(options) ? undefined
  : options.map(option => option !== null && typeof option === 'object' && 'value' in option
    ? { label: String(option.label ?? option.value), value: option.value } : { label: String(option), value: option });

/** @param {Record<string, any> | undefined} configured @param {Definitions | null} definitions @returns {Inputs} */
export function inputsOf(configured, definitions) {
  if (configured === undefined || configured === null) return null;
  const props = Object.entries(configured).filter(entry => entry[1] !== undefined).map(([name, value]) => {
    const definition = definitions !== null && Object.hasOwn(definitions, name) ? definitions[name] : {};
    return {
      name, json: JSON.stringify(value), secret: definition.secret === true, evaluate: compileValue(value, definition.type === 'any'),
    };
  });
  const member = (/** @type {Prop} */ prop, /** @type {boolean} */ shown) =>
    `${JSON.stringify(prop.name)}:${shown && prop.secret ? COVER : prop.json}`;
  const object = (/** @type {boolean} */ shown) => `{${props.map(prop => member(prop, shown)).join()}}`;
  const fixed = props.every(prop => prop.evaluate === null);
  return { props, fixed: fixed ? object(false) : null, fixedShown: fixed ? object(true) : null };
}

/** The values at a step's start; the recorded form (E5) is stored in the call. @param {Call} call @param {any} seen @returns {any} */
export function evaluateProps(call, seen) {
  const inputs = /** @type {NonNullable<Inputs>} */ (call.step.inputs);
  if (inputs.fixed !== null) {
    call.inputs = /** @type {string} */ (inputs.fixedShown);
    return parseJson(inputs.fixed);
  }
  let values = '', shown = '';
  call.inputs = '{}';
  for (let i = 0; i < inputs.props.length; i++) {
    const prop = inputs.props[i];
    const json = prop.evaluate === null ? prop.json : evaluated(prop, prop.evaluate, call, seen);
    if (json === undefined) continue; // undefined is not a value
    const key = `${values === '' ? '' : ','}${toJson(prop.name)}:`;
    values += key + json;
    shown += key + (prop.secret ? COVER : json);
    call.inputs = `{${shown}}`;
  }
  const bytes = values.length * 3 <= worker.limits.valueBytes ? 0 : byteLength(values);
  if (bytes > worker.limits.valueBytes) {
    call.inputs = '';
    throw coded(
      new Error(`the values of the props have ${bytes} bytes, over the limit of ${worker.limits.valueBytes} (setting Runs:MaxExportBytes)`),
      'SENDOFF_VALUE_TOO_LARGE');
  }
  return parseJson(`{${values}}`);
}

/** @param {Prop} prop @param {import('./templates.mjs').Evaluate} evaluate @param {Call} call @param {any} seen
 *  @returns {string | undefined} JSON */
function evaluated(prop, evaluate, call, seen) {
  try {
    return toJson(evaluate(seen, call.event));
  } catch (error) {
    throw propError(prop.name, error);
  }
}

/** @param {string} name @param {any} error */
function propError(name, error) {
  const thrown = error !== null && typeof error === 'object';
  const failure = new Error(`prop ${name}: ${text(thrown ? error.message : error)}`);
  if (thrown && typeof error.name === 'string') failure.name = error.name;
  failure.stack = `${failure.name}: ${failure.message}`;
  return coded(failure, 'SENDOFF_PROP');
}

/** A component's `this`: its methods and its props. @param {Call} call @param {any} values of the props, as configured */
export function thisOf(call, values) {
  const { component, definitions } = call.step;
  const self = bindMethods({}, component.methods);
  if (values !== null) assign(self, values);
  if (definitions !== null) fillIn(self, definitions, values ?? {}, call);
  return self;
}

/** @param {any} self @param {Definitions} definitions @param {any} values @param {Call} call */
function fillIn(self, definitions, values, call) {
  const names = keys(definitions);
  for (let i = 0; i < names.length; i++) {
    const name = names[i], definition = definitions[name];
    const value = hasOwn(values, name) ? values[name] : copyOf(definition.default);
    const type = definition.type ?? '';
    if (hasOwn(objectTypes, type)) self[name] = objectTypes[type](name, definition, value, call);
    else if (value !== undefined) self[name] = value;
    else if (VALUE.test(type) && isMissing(name, definition, call)) throw missing(name);
  }
}

/** A template that evaluates to undefined counts as a value. @param {string} name @param {Definition} definition @param {Call} call */
function isMissing(name, definition, call) {
  if (definition.optional === true || definition.hidden === true || definition.disabled === true) return false;
  const given = call.step.inputs?.props ?? [];
  for (let i = 0; i < given.length; i++) if (given[i].name === name) return false;
  return true;
}

/** @param {string} name */
function missing(name) {
  return coded(
    new ConfigurationError(
      `prop ${name}: it is required and has no value. Give it one under props of the step in workflow.yaml, or make it optional`),
    'SENDOFF_PROP');
}

/** @param {any} value @returns {any} a default, which a step may change */
const copyOf = value => value !== null && typeof value === 'object' ? parseJson(toJson(value)) : value;

/** Bound, so that they can be used as callbacks. @param {any} self @param {any} methods */
export function bindMethods(self, methods) {
  for (const name in methods) self[name] = typeof methods[name] === 'function' ? bind(methods[name], self) : methods[name];
  return self;
}

/** Whether the step has values for props that its component adds: then an editor has already called `additionalProps`.
 *  @param {Call} call */
export function hasAddedProps(call) {
  const { inputs, definitions } = call.step, given = inputs?.props ?? [];
  for (let i = 0; i < given.length; i++) if (definitions === null || !hasOwn(definitions, given[i].name)) return true;
  return false;
}

/** Adds the defaults of props that a component adds depending on its configuration. @param {any} self @param {Call} call */
export async function addProps(self, call) {
  const { component, definitions } = call.step;
  const added = await component.additionalProps.call(self, { ...definitions });
  const found = definitionsOf({ props: added });
  if (found === null) return;
  if (definitions !== null) for (const name in definitions) delete found[name];
  fillIn(self, found, self, call);
}
