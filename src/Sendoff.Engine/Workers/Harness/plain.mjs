// @ts-check
// Extracts the plain data of values that are not JSON.
import {
  defineProperty, eachEntry, eachHeader, eachMember, getPrototypeOf, hasOwn, isArray, isFetchResponse, keys, response, text, types,
} from './globals.mjs';

const MAX_DEPTH = 100, NAMED = 5;

/** Converts a Map to an object, a Set to a list, and a response of `fetch` to its data without the body. Returns other values unchanged.
 *  @param {any} value @returns {any} */
export function asData(value) {
  if (value === null || typeof value !== 'object') return value;
  if (types.isMap(value)) {
    const object = {};
    eachEntry(value, (/** @type {any} */ inner, /** @type {any} */ key) => add(object, text(key), inner));
    return object;
  }
  if (types.isSet(value)) {
    /** @type {any[]} */ const list = [];
    eachMember(value, (/** @type {any} */ inner) => { list[list.length] = inner; });
    return list;
  }
  if (!isFetchResponse(value)) return value;
  const headers = {};
  eachHeader(response.headers(value), (line, name) => add(headers, name, line));
  return { status: response.status(value), statusText: response.statusText(value), url: response.url(value), headers };
}

/** Copies JSON data, without functions, class instances and circular references, such as the request in a library's response.
 *  @param {any} value @returns {{ copy: any, left: string }} the omitted fields */
export function plainPartOf(value) {
  /** @type {string[]} */ const left = [];
  let count = 0;
  /** @param {any} inner @param {any[]} above @param {string} path @returns {any} */
  const copy = (inner, above, path) => {
    if (inner === null || typeof inner !== 'object')
      return typeof inner === 'function' || typeof inner === 'bigint' || typeof inner === 'symbol' ? leave(path) : inner;
    for (let i = 0; i < above.length; i++) if (above[i] === inner) return leave(path);
    if (above.length > MAX_DEPTH) return leave(path);
    inner = asData(inner);
    if (above.length > 0 && typeof inner.toJSON === 'function') return copy(inner.toJSON(), above, path);
    const proto = getPrototypeOf(inner);
    if (above.length > 0 && !isArray(inner) && proto !== null && getPrototypeOf(proto) !== null) return leave(path);
    const next = [...above, inner], names = keys(inner), result = /** @type {any} */ (isArray(inner) ? [] : {});
    for (let i = 0; i < names.length; i++)
      add(result, names[i], copy(inner[names[i]], next, path === '' ? names[i] : `${path}.${names[i]}`));
    return result;
  };
  const leave = (/** @type {string} */ path) => {
    if (++count <= NAMED) left[left.length] = path;
    return undefined;
  };
  const whole = copy(value, [], '');
  return { copy: whole, left: `${left.join(', ')}${count > NAMED ? ` and ${count - NAMED} more` : ''}` };
}

/** @param {any} object @param {string} name @param {any} value */
function add(object, name, value) {
  if (!hasOwn(object, name)) defineProperty(object, name, { __proto__: null, value, enumerable: true, configurable: true, writable: true });
}
