// @ts-check
// Checks the header lines of a run's response, to warn the step. Server/Triggers/ResponseHeaders.cs, which writes them, has the same
// rules; test/cases/response-headers.json tests both.
import { exec, hasOwn, indexOf, lower, slice } from './globals.mjs';

/** Headers of the connection, and headers for the whole origin, which triggers may share with the web UI. @type {Record<string, 1>} */
const OF_THE_SERVER = /** @type {any} */ ({
  __proto__: null,
  connection: 1, 'keep-alive': 1, 'proxy-connection': 1, 'transfer-encoding': 1, te: 1, trailer: 1, upgrade: 1, 'content-length': 1,
  'x-content-type-options': 1, 'accept-ch': 1, 'alt-svc': 1, 'clear-site-data': 1, 'critical-ch': 1, 'expect-ct': 1, nel: 1,
  'origin-agent-cluster': 1, 'public-key-pins': 1, 'public-key-pins-report-only': 1,
  refresh: 1, 'report-to': 1, 'reporting-endpoints': 1, 'secure-session-registration': 1, 'sec-session-registration': 1,
  'service-worker-allowed': 1, 'set-cookie2': 1,
  'set-login': 1, 'speculation-rules': 1, 'strict-transport-security': 1, 'use-as-dictionary': 1,
});
/** A cookie without a name is sent as only its value. */
const OWN_COOKIE = /^[= \t]*sendoff_session/i;
const MEDIA_TYPE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*;(?:[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*"))?)*[ \t]*$/;
const CHARSET = /(;[ \t]*charset=)("([^"]*)"|[^;"\s]+)/i;
/** Its parts have separate headers. */
const REPLACED = /^multipart\/x-mixed-replace[ \t]*(?:;|$)/i;

/** The reason why a line is dropped; null if it is sent. @param {string} name a token @param {string} value */
export function whyLeftOut(name, value) {
  const key = lower(name);
  if (hasOwn(OF_THE_SERVER, key)) return 'a response of a workflow cannot set it';
  if (exec(/[^\t -~]/, value) !== null) return 'its value has characters other than ASCII. Encode it, for example with encodeURIComponent';
  return key === 'set-cookie' && exec(OWN_COOKIE, value) !== null ? 'the cookie is that of the web UI; choose another name' : null;
}

/** The type of a string, with the charset utf-8, and the charset that it named instead; null if it named none or UTF-8. Types other than
 *  text get no charset that they do not have. @param {string} type a media type */
export function inUtf8(type) {
  const found = exec(CHARSET, type);
  if (found === null) return { type: exec(/^text\//i, type) === null ? type : `${type}; charset=utf-8`, replaced: null };
  const named = found[3] ?? found[2];
  return exec(/^(?:utf-?8|us-ascii)$/i, named) !== null
    ? { type, replaced: null }
    : { type: `${slice(type, 0, found.index)}${found[1]}utf-8${slice(type, found.index + found[0].length)}`, replaced: named };
}

/** A content type that browsers could interpret differently; null if there is none. Browsers use the last of a list.
 *  @param {[string, string][]} list */
export function findBadType(list) {
  /** @type {string | null} */ let found = null;
  for (let i = 0; i < list.length; i++) {
    if (lower(list[i][0]) !== 'content-type') continue;
    if (found !== null) return `${found}, ${list[i][1]}`;
    found = list[i][1];
  }
  return found === null || (indexOf(found, ',') < 0 && exec(MEDIA_TYPE, found) !== null && exec(REPLACED, found) === null) ? null : found;
}
