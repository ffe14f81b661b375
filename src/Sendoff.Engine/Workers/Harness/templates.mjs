// @ts-check
// Text in props with `{{ JavaScript }}` in it, over steps, event and process.env.
import vm from 'node:vm';
import { text, toJson } from './globals.mjs';

/** @typedef {(steps: any, event: any) => any} Evaluate */

/** Only line breaks and indentation, as around the text of a YAML block. */
const MARGIN = /^(?:\s*\n\s*)?$/;
const WORD = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const VALUE_WORDS = /^(?:true|false|null|undefined|event|steps|NaN|Infinity)$/;

/** @param {any} value of a prop @param {boolean} [bare] whether its text may be an expression without braces
 *  @returns {Evaluate | null} null if it has no expression */
export function compileValue(value, bare = false) {
  if (typeof value === 'string') return compileText(value) ?? (bare ? compileBare(value) : null);
  if (value === null || typeof value !== 'object') return null;
  /** @type {[string, any, Evaluate | null][]} */
  const fields = Object.entries(value).map(([key, inner]) => [key, inner, compileValue(inner)]);
  if (fields.every(field => field[2] === null)) return null;
  const list = Array.isArray(value);
  return (steps, event) => {
    const result = /** @type {any} */ (list ? [] : {});
    for (let i = 0; i < fields.length; i++) {
      const [key, inner, evaluate] = fields[i];
      result[key] = evaluate === null ? inner : evaluate(steps, event);
    }
    return result;
  };
}

/** @param {string} source @returns {Evaluate | null} */
function compileText(source) {
  /** @type {(string | Evaluate)[]} */ const parts = [];
  let from = 0, expressions = 0;
  for (let open; (open = source.indexOf('{{', from)) >= 0; expressions++) {
    const found = expressionAt(source, open + 2);
    if (found === null) break; // never closed: text
    parts.push(source.slice(from, open), found.evaluate);
    from = found.end;
  }
  if (expressions === 0) return null;
  parts.push(source.slice(from));
  // An expression on its own keeps its type.
  if (expressions === 1 && MARGIN.test(/** @type {string} */ (parts[0])) && MARGIN.test(/** @type {string} */ (parts[2])))
    return /** @type {Evaluate} */ (parts[1]);
  return (steps, event) => {
    let result = '';
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i];
      result += typeof part === 'string' ? part : shown(part(steps, event));
    }
    return result;
  };
}

/** The expression ends at the first `}}` that leaves valid JavaScript before it, so strings, templates, regular expressions and objects
 *  may contain braces.
 *  @param {string} source @param {number} start */
function expressionAt(source, start) {
  let failure = null;
  for (let close = source.indexOf('}}', start); close >= 0; close = source.indexOf('}}', close + 1)) {
    try {
      return { evaluate: compile(source.slice(start, close)), end: close + 2 };
    } catch (error) {
      failure ??= { evaluate: () => { throw error; }, end: close + 2 };
    }
  }
  return failure;
}

/** A prop of the type `any` may be an expression without braces; anything that is not valid JavaScript, and a single word, is text.
 *  @param {string} source
 *  @returns {Evaluate | null} */
function compileBare(source) {
  const code = source.trim();
  if (code === '' || (WORD.test(code) && !VALUE_WORDS.test(code))) return null;
  try { return compile(source); } catch { return null; }
}

/** @param {string} code @returns {Evaluate} */
function compile(code) {
  if (code.trim() === '') return () => undefined;
  return new vm.Script(`(function (steps, event) { return (\n${code}\n) })`, { filename: 'template', lineOffset: -1 }).runInThisContext();
}

/** @param {any} value inside other text */
function shown(value) {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? toJson(value) : text(value);
}
