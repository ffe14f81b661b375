// @ts-check
// The accounts of apps as steps see them: `this.app.$auth` and `auths`.
import { defineProperty, hasOwn, lower, parseJson, text, then, upper } from './globals.mjs';
import { ConfigurationError } from './errors.mjs';
import { coded } from './frames.mjs';
import { ask } from './ask.mjs';
import { bindMethods } from './props.mjs';
import { worker } from './step.mjs';

/** @typedef {import('./step.mjs').Call} Call */
/** @typedef {import('./load.mjs').Step} Step */
/** An account that the server gave, or why it cannot.
 *  @typedef {{ app: string, fields?: Record<string, string>, fault?: string } | null} Given */
/** What the server is asked for before a step starts. `keys` are the props or apps that the step reads; for each, `json` lists the names
 *  that can identify the account. `all` asks for one account of every app.
 *  @typedef {{ keys: string[], json: string, all: boolean }} Asked */

const READ = /\bauths\b(?:\s*(?:\?\.|\.)\s*([A-Za-z_$][\w$]*)|\s*(?:\?\.)?\[\s*(['"`])([^'"`]*)\2\s*\])?/g;
const PARAMETERS = /^[^]*?(?:=>|\{)/;

/** The accounts that a step reads, as far as its code and props say; null is none.
 *  @param {Step} step @param {Record<string, any> | undefined} props @returns {Asked | null} */
export function accountsAskedBy(step, props) {
  const idOf = (/** @type {string} */ name) => props?.[name]?.authProvisionId;
  /** @type {Map<string, string[]>} */ const asked = new Map();
  const add = (/** @type {string} */ key, /** @type {any[]} */ ...names) =>
    asked.set(key, names.filter(name => typeof name === 'string' && name !== ''));
  let all = false;
  if (step.component !== null) {
    const { definitions } = step;
    for (const name in definitions) if (definitions[name].type === 'app') add(name, idOf(name), definitions[name].app, name);
  } else {
    // The parameter `auths` is not a read.
    const code = step.style === 'wrapper' ? step.source.replace(PARAMETERS, '') : step.source;
    for (const [, dotted, , quoted] of code.matchAll(READ)) {
      const name = dotted ?? quoted;
      if (name === undefined) all = true; else add(name, idOf(name), name);
    }
    if (all) for (const name in props) if (typeof idOf(name) === 'string') add(name, idOf(name));
  }
  if (asked.size === 0 && !all) return null;
  return { keys: [...asked.keys()], json: JSON.stringify({ accounts: [...asked.values()], all }), all };
}

/** Before a step: null if it reads no account, else a promise that never fails. @param {Call} call @returns {Promise<void> | null} */
export function loadAccounts(call) {
  const { asks } = call.step;
  if (asks === null || !worker.asksAccounts) return null;
  return then(ask(call, 'an account', 'accounts', asks.json), given => { call.given = given; }, error => { call.notGiven = error; });
}

/** An app: its methods, and `$auth` with the fields of its account. @type {import('./propObjects.mjs').Make} */
export function appOf(name, definition, value, call) {
  const slug = typeof definition.app === 'string' ? definition.app : name;
  const app = bindMethods({}, definition.methods);
  return defineProperty(app, '$auth', {
    enumerable: true,
    get() { return givenFor(call, name) ?? setFor(call, [value?.authProvisionId, slug, name]) ?? noAccount(name, slug); },
  });
}

/** @param {string} name @param {string} app @returns {never} */
function noAccount(name, app) {
  const variable = upper(app);
  throw coded(
    new ConfigurationError(
      `prop ${name}: there is no account of the app ${app}. Connect one on the page Accounts or with \`sendoff accounts connect\`, `
      + `or set its fields as secrets named ${variable}__ and the field, such as ${variable}__API_KEY or ${variable}__OAUTH_ACCESS_TOKEN`),
    'SENDOFF_NO_ACCOUNT');
}

/** The account that the server gave for a prop or app. @param {Call} call @param {string} key */
function givenFor(call, key) {
  if (call.notGiven !== null) throw call.notGiven;
  const { asks } = call.step;
  if (asks === null || call.given === null) return undefined;
  for (let i = 0; i < asks.keys.length; i++) if (asks.keys[i] === key) return fieldsOf(call.given.accounts[i]);
  return undefined;
}

/** @param {Given} given */
function fieldsOf(given) {
  if (given === null) return undefined;
  if (given.fields === undefined) throw coded(new ConfigurationError(text(given.fault)), 'SENDOFF_ACCOUNT');
  return given.fields;
}

/** The account whose fields are secrets. @param {Call} call @param {(string | undefined)[]} names the first that exists counts */
function setFor(call, names) {
  const accounts = accountsOf(call);
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    if (typeof name !== 'string') continue;
    if (hasOwn(accounts, name)) return accounts[name];
    if (hasOwn(accounts, lower(name))) return accounts[lower(name)];
  }
  return undefined;
}

/** A copy for each step. @param {Call} call @returns {Record<string, Record<string, string>>} */
const accountsOf = call => call.accounts ??= worker.accountsJson === '' ? {} : parseJson(worker.accountsJson);

/** `auths` of a body: the accounts by app, and by the props that hold one. @param {Call} call @param {any} props */
export function authsOf(call, props) {
  const { given, notGiven } = call;
  if (worker.accountsJson === '' && given === null && notGiven === null) return {};
  const auths = { ...accountsOf(call) };
  for (const name in props) {
    const id = props[name]?.authProvisionId;
    const account = typeof id === 'string' && !hasOwn(auths, name) ? setFor(call, [id]) : undefined;
    if (account !== undefined) auths[text(name)] = account;
  }
  const { asks } = call.step;
  if (asks === null) return auths;
  for (let i = 0; given !== null && i < given.all.length; i++) layAccount(auths, given.all[i].app, given.all[i], null);
  for (let i = 0; i < asks.keys.length; i++) layAccount(auths, asks.keys[i], given === null ? null : given.accounts[i], notGiven);
  return auths;
}

/** An account without a valid token fails the code that reads it.
 *  @param {any} auths @param {string} key @param {Given} given @param {any} error */
function layAccount(auths, key, given, error) {
  if (given === null && error === null) return;
  const isValid = given?.fields !== undefined;
  const get = () => { if (error !== null) throw error; return fieldsOf(given); };
  defineProperty(auths, key, {
    __proto__: null, configurable: true, enumerable: isValid, ...isValid ? { value: given.fields, writable: true } : { get },
  });
}
