// @ts-check
// Props that are more than a value: accounts, triggers' interfaces, requests, files.
import { defineProperty, hasOwn, lower, parseJson, text, upper } from './globals.mjs';
import { ConfigurationError } from './errors.mjs';
import { coded } from './frames.mjs';
import { directory } from './files.mjs';
import { httpRequest } from './httpRequest.mjs';
import { bindMethods } from './props.mjs';
import { respondOf } from './respond.mjs';
import { worker } from './step.mjs';
import { storeProp } from './stores.mjs';

/** @typedef {import('./step.mjs').Call} Call */
/** @typedef {(name: string, definition: import('./props.mjs').Definition, value: any, call: Call) => any} Make */

/** By type. A type that is not here is a plain value. @type {Record<string, Make>} */
export const objectTypes = {
  app: appOf,
  alert: () => undefined,
  dir: (_, __, value) => directory(typeof value === 'string' ? value : value?.path),
  http_request: (_, __, value) => httpRequest(value),
  sql: queryOf,
  data_store: (name, definition, value, call) => storeProp(definition, value, call, name),
  '$.service.db': (name, definition, value, call) => storeProp(definition, value, call, name),
  '$.interface.http': (_, __, ___, call) => ({ endpoint: call.event?.url, respond: respondOf(call) }),
  '$.interface.timer': (_, __, value) => value,
};

/** A query with its parameters, as an app's `executeQueryAdapter` takes it. @type {Make} */
function queryOf(name, definition, value) {
  if (typeof value === 'string') return { query: value, params: [] };
  if (value !== null && typeof value === 'object') return { params: [], ...value };
  if (definition.optional === true) return undefined;
  throw coded(
    new ConfigurationError(
      `prop ${name}: it needs a query. Write \`{ query: "select …", params: [] }\` under props of the step in workflow.yaml`),
    'SENDOFF_PROP');
}

/** An app: its methods, and `$auth` with the fields of its account. @type {Make} */
function appOf(name, definition, value, call) {
  const slug = typeof definition.app === 'string' ? definition.app : name;
  const app = bindMethods({}, definition.methods);
  return defineProperty(app, '$auth', {
    enumerable: true,
    get() { return accountOf(call, [value?.authProvisionId, slug, name]) ?? noAccount(name, slug); },
  });
}

/** @param {string} name @param {string} app @returns {never} */
function noAccount(name, app) {
  const variable = upper(app);
  throw coded(
    new ConfigurationError(
      `prop ${name}: there is no account of the app ${app}. Set its fields as secrets named ${variable}__ and the field, `
        + `such as ${variable}__API_KEY or ${variable}__OAUTH_ACCESS_TOKEN`),
    'SENDOFF_NO_ACCOUNT');
}

/** @param {Call} call @param {(string | undefined)[]} names the first that there is counts */
function accountOf(call, names) {
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
  if (worker.accountsJson === '') return {};
  const auths = { ...accountsOf(call) };
  for (const name in props) {
    const account = typeof props[name]?.authProvisionId === 'string' && !hasOwn(auths, name)
      ? accountOf(call, [props[name].authProvisionId]) : undefined;
    if (account !== undefined) auths[text(name)] = account;
  }
  return auths;
}
