// @ts-check
// Props with objects as values: apps, triggers' interfaces, requests, files.
import { appOf } from './accounts.mjs';
import { ConfigurationError } from './errors.mjs';
import { coded } from './frames.mjs';
import { directory } from './files.mjs';
import { httpRequest } from './httpRequest.mjs';
import { respondOf } from './respond.mjs';
import { SourceDb } from './source.mjs';
import { worker } from './step.mjs';
import { storeProp } from './stores.mjs';

/** @typedef {import('./step.mjs').Call} Call */
/** @typedef {(name: string, definition: import('./props.mjs').Definition, value: any, call: Call) => any} Make */

/** By type. Other types have plain values. @type {Record<string, Make>} */
export const objectTypes = {
  app: appOf,
  alert: () => undefined,
  dir: (_, __, value) => directory(typeof value === 'string' ? value : value?.path),
  http_request: (_, __, value) => httpRequest(value),
  sql: queryOf,
  data_store: (name, definition, value, call) => storeProp(definition, value, call, name),
  '$.service.db': (name, definition, value, call) => call.step.isSource ? new SourceDb(call) : storeProp(definition, value, call, name),
  '$.interface.http': (_, __, ___, call) => ({ endpoint: worker.workflow.endpoint ?? call.event?.url, respond: respondOf(call) }),
  '$.interface.timer': (_, __, value) => value,
};

/** A query with its parameters, for an app's `executeQueryAdapter`. @type {Make} */
function queryOf(name, definition, value) {
  if (typeof value === 'string') return { query: value, params: [] };
  if (value !== null && typeof value === 'object') return { params: [], ...value };
  if (definition.optional === true) return undefined;
  throw coded(
    new ConfigurationError(
      `prop ${name}: it needs a query. Write \`{ query: "select …", params: [] }\` under props of the step in workflow.yaml`),
    'SENDOFF_PROP');
}
