// @ts-check
// Loads the steps of one workflow version: detects the style of each step (E2) and compiles it once.
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { apply } from './globals.mjs';
import { describe } from './errors.mjs';
import { definitionsOf, inputsOf } from './props.mjs';
import { accountsAskedBy } from './accounts.mjs';
import { factsOf, loadSource } from './source.mjs';
import { NO_RESPONSE, positionOf, responseRead } from './responses.mjs';
import { orderOf } from './signature.mjs';

/** `shape` is the form of the code by its tokens; a function body if missing.
 *  @typedef {{ name: string, file: string, shape?: 'imports' | 'component' | 'module', props?: Record<string, any>,
 *  disabled?: boolean, source?: boolean }} StepConfig `source` is true for an event source */
/** @typedef {{ step: number, file: string, name: string, message: string, line: number | null, column: number | null,
 *  source: string }} Problem */
/** @typedef {(this: any, event: any, steps: any, params: any, auths: any, $send: any, $respond: any, $end: any) => any} Body */
/** @typedef {{ index: number, name: string, json: string, file: string, root: string, source: string, disabled: boolean, style: 'module' |
 *  'body' | 'wrapper', body: Body | null, order: number[] | null, component: any, definitions: import('./props.mjs').Definitions | null,
 *  inputs: import('./props.mjs').Inputs, asks: import('./accounts.mjs').Asked | null, problem: Problem | null,
 *  keeps?: { db: boolean, checkpoint: boolean }, isSource: boolean, facts?: object }} Step */

// Outer parameters, so that user code can declare variables of these names.
const OUTER = '(function (event, steps, params, auths, $send, $respond, $end) { return (async function () {';

/** The last argument of `defineComponent`, for code without `export default`. @type {any} */
let lastDefined;
/** @param {any} component */
export function defineComponent(component) { lastDefined = component; return component; }

/** @param {{ root: string, steps: StepConfig[] }} load @param {(step: number) => void} onStep the step that is loaded; -1 at the end
 *  @returns {Promise<{ steps: Step[], problems: Problem[] }>} */
export async function loadSteps(load, onStep) {
  const root = realPath(load.root);
  /** @type {Step[]} */ const steps = [];
  /** @type {Problem[]} */ const problems = [];
  const names = new Set(['trigger']);
  for (const config of load.steps) {
    onStep(steps.length);
    const step = await loadStep(config, steps.length, root);
    if (names.has(step.name))
      step.problem ??= problemOf(step, { name: 'Error', message: `two steps are called "${step.name}"`, line: null, column: null });
    names.add(step.name);
    if (step.problem !== null) problems.push(step.problem);
    steps.push(step);
  }
  onStep(-1);
  return { steps, problems };
}

/** Stack traces have real paths. If the folder is missing, the problem is reported for every step's file. @param {string} folder */
function realPath(folder) {
  try { return fs.realpathSync(folder); } catch { return folder; }
}

/** @param {StepConfig} config @param {number} index @param {string} root @returns {Promise<Step>} */
async function loadStep(config, index, root) {
  /** @type {Step} */
  const step = {
    index, name: config.name, json: JSON.stringify(config.name), ...placeOf(config.file, root), source: '',
    disabled: config.disabled === true,
    isSource: config.source === true, style: 'module', body: null, order: null, component: null, definitions: null, inputs: null, asks: null, problem: null,
  };
  if (step.disabled) return step;
  try {
    step.source = fs.readFileSync(step.file, 'utf8').replace(/^\uFEFF/, '');
    if (step.isSource) await loadSource(step); else await chooseStyle(step, config.shape);
    step.definitions = definitionsOf(step.component);
    step.inputs = inputsOf(labelsOf(config.props, step.definitions), step.definitions);
    step.asks = accountsAskedBy(step, config.props);
    if (step.isSource) step.facts = factsOf(step, config.props);
  } catch (error) {
    step.problem = problemOf(step, locate(step, error));
  }
  return step;
}

/** A component of a package is in the package's folder, and its errors name the files of the package. @param {string} file
 *  @param {string} root */
function placeOf(file, root) {
  const name = /^node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(file);
  if (name === null) return { file: path.resolve(root, file), root };
  const real = realPath(path.resolve(root, file));
  return { file: real, root: real.slice(0, name[0].length - file.length - 1) };
}

/** Code that parses as a function body is one, unless it defines a component. @param {Step} step @param {StepConfig['shape']} shape */
async function chooseStyle(step, shape) {
  if (/\.[cm]?ts$/.test(step.file)) return loadModule(step);
  const wrapper = loneFunction(step);
  if (wrapper !== null) {
    step.style = 'wrapper';
    [step.body, step.order] = wrapper;
    return;
  }
  const bodyError = bodyProblem(step.source, step.file);
  if (bodyError !== null && shape === 'imports') refuseImport(step.source);
  if (bodyError === null ? shape === 'component' : shape !== undefined) return loadModule(step);
  step.style = 'body';
  if (bodyError !== null) throw bodyError;
  const outer = compile(`(function (require, __filename, __dirname) { return ${OUTER}\n${step.source}\n}).call(this); }); })`, step.file);
  step.body = outer.runInThisContext()(...scopeOf(step));
}

const STATIC_IMPORT = /^(.*[;}])?([ \t]*)import\b(?!\s*[(.:=])/m;

/** Throws for an import statement in a body step, which would run while it is loaded if it were a module.
 *  @param {string} source */
function refuseImport(source) {
  const found = STATIC_IMPORT.exec(source);
  if (found === null) return;
  const at = found.index + (found[1] ?? '').length + found[2].length;
  const before = source.slice(0, at).split('\n');
  const message = 'import statements belong in steps with export default; '
    + 'in a step of this style use `await import("package")` or `require("package")`';
  throw Object.assign(
    new SyntaxError(message),
    { located: { name: 'SyntaxError', message, line: before.length, column: before[before.length - 1].length + 1 } });
}

/** @param {Step} step */
async function loadModule(step) {
  lastDefined = undefined;
  const exports = await import(pathToFileURL(step.file).href);
  let component = exports.default ?? exports['module.exports'];
  if (component?.__esModule === true && component.default !== undefined) component = component.default;
  if (typeof component !== 'function' && typeof component?.run !== 'function' && lastDefined !== undefined) component = lastDefined;
  if (typeof component === 'function') {
    step.style = 'wrapper';
    step.body = component;
    step.order = orderOf(component);
  } else if (typeof component?.run === 'function') step.component = component;
  else throw new TypeError('the module has no step: use export default defineComponent({ async run({ steps, $ }) { ... } })');
}

/** @param {string} source @param {string} file */
function compile(source, file) {
  return new vm.Script(source, {
    filename: file, lineOffset: -1, // the user's code starts on the second line
    importModuleDynamically: /** @type {any} */ (vm.constants).USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
}

/** The variables of a CommonJS module: `require`, `__filename`, `__dirname`. @param {Step} step */
const scopeOf = step => [createRequire(step.file), step.file, path.dirname(step.file)];

/** @param {string} source */
function compiles(source) {
  try { new vm.Script(source); return true; } catch { return false; }
}

/** @param {string} source @param {string} file */
function bodyProblem(source, file) {
  try { compile(`${OUTER}\n${source}\n}).call(this); })`, file); return null; } catch (error) { return error; }
}

/** The function that is the whole file: `async (event, steps) => {...}` or `async function (event, steps) {...}`. It is created for each
 *  call, because an arrow function has the `this` of its creation (E9). @param {Step} step
 *  @returns {[Body, number[] | null] | null} with the order of its parameters */
function loneFunction(step) {
  const source = step.source.replace(/;((?:\s|\/\/[^\n]*|\/\*[^]*?\*\/)*)$/, ' $1');
  const code = source.replace(/^(?:\s|\/\/[^\n]*\n|\/\*[^]*?\*\/|(['"])use strict\1;?)*/, '');
  const named = /^(async\s+)?function\b\s*\*?\s*[\w$]*/.exec(code);
  const alone = named !== null
    // A call of it is not a declaration.
    ? compiles(`(${code}\n)`) && compiles(`${named[1] ?? ''}function __step${code.slice(named[0].length)}`)
    // An arrow function is not an operand; a call of it is.
    : /^(?:async\b|\(|[\w$]+\s*=>)/.test(code) && compiles(`(${code}\n)`) && !compiles(`(0 || ${code}\n)`);
  if (!alone) return null;
  const make = compile(`(function (require, __filename, __dirname) { return (\n${source}\n) })`, step.file).runInThisContext(),
    scope = scopeOf(step);
  return [function (...given) { return apply(apply(make, this, scope), this, given); }, orderOf(make())];
}

/** Unwraps labelled options to their value, or to `{ label, value }` for a prop with `withLabel` (E9). @param {any} props
 *  @param {import('./props.mjs').Definitions | null} definitions */
function labelsOf(props, definitions) {
  if (props === null || typeof props !== 'object') return props;
  return Object.fromEntries(Object.entries(props).map(([name, value]) =>
    [name, definitions !== null && Object.hasOwn(definitions, name) && definitions[name].withLabel === true
      ? labelled(value) : unwrapLabels(value)]));
}

/** @param {any} value @returns {any} */
function labelled(value) {
  if (Array.isArray(value)) return value.map(labelled);
  if (value === null || value === undefined) return value;
  if (typeof value !== 'object') return { label: String(value), value };
  return value.__lv !== null && typeof value.__lv === 'object' ? labelled(value.__lv) : value;
}

/** @param {any} value @returns {any} */
function unwrapLabels(value) {
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(unwrapLabels);
  if (value.__lv !== null && typeof value.__lv === 'object') return unwrapLabels(value.__lv.value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unwrapLabels(inner)]));
}

/** Problems that a deploy can detect before the step runs (A4). @param {Step[]} steps @returns {Problem[]} */
export function warningsOf(steps) {
  return steps.flatMap(step => {
    const at = step.problem === null ? responseRead(step.source) : -1;
    return at < 0 ? [] : [problemOf(step, { name: 'send_has_no_response', message: NO_RESPONSE, ...positionOf(step.source, at) })];
  });
}

/** @typedef {{ name: string, message: string, line: number | null, column: number | null, file?: string, source?: string }} Located */

/** @param {Step} step @param {Located} at @returns {Problem} */
function problemOf(step, at) {
  const file = at.file ?? step.file;
  const lines = (at.source ?? step.source).split('\n');
  const line = at.line === null ? null : Math.min(at.line, lines.length); // an unclosed bracket is found behind the end
  return {
    step: step.index, file: path.relative(step.root, file), name: at.name, message: at.message, line, column: at.column,
    source: line === null ? '' : lines[line - 1].trimEnd(),
  };
}

/** The position of the error of a step that does not load. @param {Step} step @param {any} error @returns {Located} */
function locate(step, error) {
  if (error?.located !== undefined && error instanceof SyntaxError) return error.located;
  const described = describe(error, step);
  const { name, message } = described;
  if (error?.code === 'ENOENT' && step.source === '')
    return { ...described, message: `the file ${path.relative(step.root, step.file)} does not exist` };
  if (error instanceof SyntaxError || name === 'SyntaxError') {
    const header = /^(?:file:\/\/)?(\/.*|[A-Za-z]:.*):(\d+)\n([^]*?)\n(\s*)\^/.exec(String(error.stack));
    if (header !== null)
      return { name, message, file: header[1], source: readOr(header[1], step.source), line: +header[2], column: header[4].length + 1 };
    return searchModules(step.file, message, new Set()) ?? described;
  }
  const missing = /^Cannot find (?:package|module) '([^']+)'(?: imported from (.+))?/.exec(message);
  if (missing !== null) {
    const file = missing[2] ?? step.file, source = readOr(file, step.source);
    const at = findSpecifier(source, missing[1]);
    return { name, message: message.split('\n')[0].replaceAll(`${step.root}/`, ''), file, source, ...at };
  }
  return described;
}

/** @param {string} source @param {string} target a package's name, or the path that a specifier led to */
function findSpecifier(source, target) {
  const lines = source.split('\n');
  for (let i = 0; i < lines.length; i++) {
    for (const match of lines[i].matchAll(/(['"`])([^'"`\n]+)\1/g)) {
      const specifier = match[2];
      if (specifier === target || specifier.startsWith(`${target}/`)
        || (specifier.includes('/') && path.basename(specifier) === path.basename(target)))
        return { line: i + 1, column: /** @type {number} */ (match.index) + 1 };
    }
  }
  return { line: null, column: null };
}

/** V8 does not expose the position of a module's syntax error: find it by compiling the module's text as a similar script.
 *  @param {string} file @param {string} message @param {Set<string>} seen @returns {Located | null} */
function searchModules(file, message, seen) {
  if (seen.has(file) || seen.size > 100) return null;
  seen.add(file);
  const source = readOr(file, '');
  const pad = (/** @type {string} */ text) => text.replace(/[^\n]/g, ' ');
  const script = source
    .replace(/^([ \t]*)export(\s+)default\b/gm, (_, indent, gap) => `${indent}void  ${gap}       `)
    .replace(/^([ \t]*)(?:import\b(?!\s*[(.])[^'"`;()]*?(['"])[^'"\n]*\2(?:\s*with\s*\{[^}]*\})?|export\s*(?:\*[^;'"]*|\{[^}]*\}\s*(?:from)?)\s*(?:(['"])[^'"\n]*\3)?)/gm, pad)
    .replace(/^([ \t]*)export\b/gm, '$1      ')
    .replace(/\bimport\.meta\b/g, 'import_meta');
  try {
    compile(`(async function () { 'use strict';\n${script}\n})`, file);
  } catch (error) {
    const header = /:(\d+)\n[^]*?\n(\s*)\^/.exec(String(/** @type {any} */ (error).stack));
    return {
      name: 'SyntaxError', message, file, source, line: header === null ? null : +header[1],
      column: header === null ? null : header[2].length + 1,
    };
  }
  for (const match of source.matchAll(/\b(?:from|import)\s*\(?\s*(['"])(\.{1,2}\/[^'"]+)\1/g)) {
    const found = searchModules(path.resolve(path.dirname(file), match[2]), message, seen);
    if (found !== null) return found;
  }
  return null;
}

/** @param {string} file @param {string} fallback */
function readOr(file, fallback) {
  try { return fs.readFileSync(file, 'utf8'); } catch { return fallback; }
}
