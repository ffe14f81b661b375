// @ts-check
// Converts errors for the user: only user frames, with line and column in user code, and hints for common mistakes.
import { Pattern, exec, hasOwn, indexOf, inspect, isArray, join, slice, split, text, toJson, types, upper } from './globals.mjs';
import { NO_RESPONSE, failsOnResponse } from './responses.mjs';

/** @typedef {{ file: string, root: string, source: string, style?: string }} Code the location of a step's code; absolute paths */
/** @typedef {{ line: number | null, column: number | null }} Position */
/** @typedef {{ name: string, message: string, code?: string, stack: string, line: number | null, column: number | null }} Described */

const HARNESS = new URL('.', import.meta.url).href;
const MAX_TEXT = 16 * 1024;
const NOWHERE = { line: null, column: null };

/** An error in the configuration of a step. A global in steps, as in Pipedream. */
export class ConfigurationError extends Error {
  /** @param {string} [message] */
  constructor(message) {
    super(message);
    this.name = 'ConfigurationError';
  }
}

/** Reads a value whose getter may throw. @param {() => any} get */
function attempt(get) {
  try { return get(); } catch { return undefined; }
}

/** @param {string} value */
const cut = value => value.length > MAX_TEXT ? `${slice(value, 0, MAX_TEXT)}…` : value;

/** @param {any} error any thrown value @param {Code} code @returns {Described} */
export function describe(error, code) {
  if (error === null || (typeof error !== 'object' && typeof error !== 'function')) {
    return { name: 'Error', message: cut(typeof error === 'string' ? error : `${text(error)} was thrown`), stack: '', ...NOWHERE };
  }
  const read = (/** @type {string} */ key) => attempt(() => error[key]);
  const stack = read('stack'), message = read('message'), name = read('name'), errorCode = read('code');
  const lines = typeof stack === 'string' ? userLines(stack) : [];
  addCauses(lines, error);
  /** @type {Described} */
  const described = {
    name: typeof name === 'string' && name !== '' ? cut(name) : 'Error',
    message: cut(
      typeof message === 'string'
        ? withReasons(error, 0) : attempt(() => inspect(error, { depth: 2 })) ?? 'an object was thrown that cannot be shown'),
    stack: cut(join(split(join(split(join(lines, '\n'), `file://${code.root}/`), ''), `${code.root}/`), '')),
    ...positionIn(lines, code),
  };
  if (typeof errorCode === 'string' || typeof errorCode === 'number') described.code = cut(text(errorCode));
  return described;
}

const MOST_REASONS = 10, DEEPEST = 8;

/** The message of an error with its causes: `fetch failed: connect ECONNREFUSED 127.0.0.1:1`. @param {any} error
 *  @param {number} depth @returns {string} */
function withReasons(error, depth) {
  if (error === null || (typeof error !== 'object' && typeof error !== 'function')) return text(error);
  const message = attempt(() => error.message), own = typeof message === 'string' ? message : '';
  let all = own;
  const reasons = depth < DEEPEST ? reasonsOf(error) : [];
  for (let i = 0, separator = own === '' ? '' : ': '; i < reasons.length; i++) {
    const reason = attempt(() => withReasons(reasons[i], depth + 1)) ?? '';
    if (reason === '' || indexOf(all, reason) >= 0) continue; // many packages repeat the cause in their message
    all += separator + reason;
    separator = '; ';
    if (all.length > MAX_TEXT) break;
  }
  if (all !== '' || depth === 0) return all;
  const short = attempt(() => error.code) ?? attempt(() => error.name);
  return typeof short === 'string' ? short : attempt(() => inspect(error, { depth: 1 })) ?? '';
}

/** The errors of an AggregateError, and the cause. @param {any} error @returns {any[]} */
function reasonsOf(error) {
  /** @type {any[]} */ const found = [];
  const errors = attempt(() => error.errors), cause = attempt(() => error.cause);
  // Lists of the same name in other errors, such as those of validators, are not errors.
  if (isArray(errors)) for (let i = 0; i < errors.length && i < MOST_REASONS; i++)
    if (attempt(() => types.isNativeError(errors[i])) === true) found[found.length] = errors[i];
  if (cause !== undefined && cause !== null && cause !== error) found[found.length] = cause;
  return found;
}

/** Adds the stacks of the causes, in the format of Node.js. @param {string[]} lines @param {any} error */
function addCauses(lines, error) {
  let cause = attempt(() => error.cause);
  for (let depth = 0; depth < DEEPEST && cause !== undefined && cause !== null; depth++) {
    const stack = attempt(() => cause.stack), more = typeof stack === 'string' ? userLines(stack) : [];
    for (let i = 0; i < more.length; i++) lines[lines.length] = i === 0 ? `  [cause]: ${more[i]}` : `  ${more[i]}`;
    const inner = cause;
    cause = attempt(() => inner.cause);
  }
}

/** Built manually, because a step may have added toJSON to Object.prototype. @param {Described} error */
export function describedJson(error) {
  const code = error.code === undefined ? '' : `,"code":${toJson(error.code)}`;
  return `{"name":${toJson(error.name)},"message":${toJson(error.message)}${code},"stack":${toJson(error.stack)},`
    + `"line":${error.line},"column":${error.column}}`;
}

/** The stack without frames of the harness and of Node itself. @param {string} stack */
function userLines(stack) {
  const lines = split(stack, '\n');
  /** @type {string[]} */ const kept = [];
  for (let i = 0; i < lines.length && kept.length < 40; i++) {
    const frame = exec(/^\s+at /, lines[i]) !== null;
    if (frame && (indexOf(lines[i], HARNESS) >= 0 || indexOf(lines[i], '(node:') >= 0 || indexOf(lines[i], ' node:') >= 0)) continue;
    kept[kept.length] = lines[i];
  }
  return kept;
}

/** The first frame in the step's own file. @param {string[]} lines @param {Code} code @returns {Position} */
function positionIn(lines, code) {
  for (let i = 0; i < lines.length; i++) {
    const at = indexOf(lines[i], `${code.file}:`);
    if (at < 0 || exec(/^\s+at /, lines[i]) === null) continue;
    const match = exec(/^(\d+):(\d+)/, slice(lines[i], at + code.file.length + 1));
    if (match !== null) return { line: +match[1], column: +match[2] };
  }
  return NOWHERE;
}

/** Where the step's code is now. @param {Code} code @returns {Position} */
export function userPosition(code) {
  const stack = attempt(() => {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 50;
    try { return new Error().stack; } finally { Error.stackTraceLimit = limit; }
  });
  return typeof stack === 'string' ? positionIn(split(stack, '\n'), code) : NOWHERE;
}

/** @type {Record<string, string>} */
const INSTEAD = /** @type {any} */ ({
  __proto__: null,
  sql: 'there is no SQL warehouse here: write rows with a package such as pg or mysql2, '
    + 'or objects with $send.s3({ bucket, prefix, payload })',
  snowflake: 'write rows with the package snowflake-sdk, or objects that Snowpipe takes in with $send.s3({ bucket, prefix, payload })',
});

/** Packages by their usual variable names. @type {Record<string, string>} */
const PACKAGES = /** @type {any} */ ({
  __proto__: null, axios: 'axios', _: 'lodash', lodash: 'lodash', got: 'got', moment: 'moment', dayjs: 'dayjs', cheerio: 'cheerio',
  uuid: 'uuid', uuidv4: 'uuid', nodemailer: 'nodemailer',
  googleapis: 'googleapis', google: 'googleapis', OpenAI: 'openai', openai: 'openai', Stripe: 'stripe', stripe: 'stripe', AWS: 'aws-sdk',
  jwt: 'jsonwebtoken', jsonwebtoken: 'jsonwebtoken',
  csv: 'csv-parse', xml2js: 'xml2js', qs: 'qs', mysql: 'mysql2', pg: 'pg', mongodb: 'mongodb', twilio: 'twilio', Airtable: 'airtable',
  FormData: 'form-data', ical: 'node-ical', luxon: 'luxon',
  fs: 'fs', path: 'path', crypto: 'crypto', os: 'os', util: 'util', https: 'https', http: 'http', zlib: 'zlib', stream: 'stream',
  querystring: 'querystring', child_process: 'child_process',
});
/** Names that are not the default export of their package. @type {Record<string, string>} */
const NAMED = /** @type {any} */ ({ __proto__: null, uuidv4: '{ v4 as uuidv4 }', google: '{ google }' });

/** @param {string} name @param {Code} code */
function importOf(name, code) {
  const source = PACKAGES[name], named = hasOwn(NAMED, name) ? NAMED[name] : name;
  const module = code.style === 'module' && exec(/\bmodule\.exports\b/, code.source) === null;
  return module ? `import ${named} from "${source}"` : `const ${join(split(named, ' as '), ': ')} = require("${source}")`;
}

/** The warning for a failure that is one of the mistakes of A8. @param {Described} error @param {Code} code @param {boolean} sent
 *  @returns {{ code: string, message: string } | null} */
export function explain(error, code, sent) {
  if (error.name === 'ReferenceError') {
    const name = exec(/^([\w$]+) is not defined$/, error.message)?.[1] ?? '';
    if (!(name in PACKAGES)) return null;
    const place = code.style === 'module' ? 'at the top of the step' : 'before it is used';
    return { code: 'missing_import', message: `${name} is not defined: add ${importOf(name, code)} ${place}` };
  }
  if (error.name !== 'TypeError') return null;
  const account = missingAccount(error, code);
  if (account !== null) {
    return {
      code: 'missing_account',
      message: `there is no account of the app ${account}: connect one on the page Accounts or with \`sendoff accounts connect\`, `
        + `or set its fields as secrets named ${upper(account)}__ and the field, `
        + `such as ${upper(account)}__API_KEY or ${upper(account)}__OAUTH_ACCESS_TOKEN`,
    };
  }
  const unknown = exec(/^\$\.?send\.([\w$]+) is not a function/, error.message);
  if (unknown !== null && exec(/^(?:http|email|emit|sse|s3)$/, unknown[1]) === null) {
    const name = unknown[1];
    return {
      code: 'unknown_destination',
      message: `there is no destination ${name}: ${INSTEAD[name] ?? 'call its HTTP interface with $send.http({ method, url, data })'}`,
    };
  }
  return sent && error.line !== null && failsOnResponse(error, code.source) ? { code: 'send_has_no_response', message: NO_RESPONSE } : null;
}

/** The app in `auths.<app>.<field>` if it has no account. @param {Described} error @param {Code} code @returns {string | null} */
function missingAccount(error, code) {
  if (error.line === null || exec(/^Cannot read properties of undefined/, error.message) === null) return null;
  const before = slice(split(code.source, '\n')[error.line - 1] ?? '', 0, /** @type {number} */ (error.column) - 1);
  return exec(/\bauths\s*\.\s*(\w+)\s*(?:\.\s*|\[['"]?)$/, before)?.[1] ?? null;
}
