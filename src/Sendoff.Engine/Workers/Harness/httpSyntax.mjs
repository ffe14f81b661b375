// @ts-check
// Validates the parts of a request. Deliveries/HttpSyntax.cs has the same rules; test/cases/http-syntax.json tests both.
import { bufferFrom, codeAt, exec, slice } from './globals.mjs';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NAME = /^[0-9A-Za-z_-]{1,63}(?:\.[0-9A-Za-z_-]{1,63})*$/;
const LONGEST_NAME = 253, LONGEST_METHOD = 64;

/** The rule for hosts, for error messages. */
export const HOST_RULE = 'a host is an IP address, or letters, digits, hyphens and underscores with dots between: '
  + 'up to 63 characters between two dots, 253 in all';

/** The rule for methods, for error messages. */
export const METHOD_RULE = 'a method has up to 64 characters';

/** RFC 9110 5.6.2. @param {string} text */
export const isToken = text => exec(TOKEN, text) !== null;

/** A token of up to 64 characters. @param {string} text */
export const isMethod = text => text.length <= LONGEST_METHOD && isToken(text);

/** RFC 9110 5.5: Latin-1 without control characters except the tab. @param {string} text */
export const isHeaderValue = text => exec(BAD_VALUE, text) === null;

/** Whether a host is a valid DNS name, with an optional dot at the end, or an IPv6 address.
 *  @param {string} host normalised by the URL standard: in lower case, IP addresses in standard form */
export function isHost(host) {
  if (codeAt(host, 0) === 0x5b) return true; // `[`: the URL parser has read an IPv6 address
  const name = codeAt(host, host.length - 1) === 0x2e ? slice(host, 0, -1) : host;
  return name.length <= LONGEST_NAME && exec(NAME, name) !== null;
}

/** Removes spaces and tabs around a value (RFC 9110 5.5). Other white space is kept; line breaks are refused.
 *  @param {string} value */
export function withoutBlanks(value) {
  let start = 0, end = value.length;
  while (start < end && (value[start] === ' ' || value[start] === '\t')) start++;
  while (end > start && (value[end - 1] === ' ' || value[end - 1] === '\t')) end--;
  return slice(value, start, end);
}

/** Decodes like the URL standard: invalid escapes are kept, and the bytes need not be text. @param {string} value ASCII */
export function percentDecoded(value) {
  /** @type {number[]} */ const bytes = [];
  for (let i = 0; i < value.length; i++) {
    const escape = value[i] === '%' && exec(/^%[0-9A-Fa-f]{2}/, slice(value, i, i + 3)) !== null;
    bytes[bytes.length] = escape ? +`0x${slice(value, i + 1, i + 3)}` : codeAt(value, i);
    if (escape) i += 2;
  }
  return bufferFrom(bytes);
}

/** Bytes of header lines, each with its colon, space and line end. @param {[string, string][]} headers */
export function headerBytes(headers) {
  let bytes = 0;
  for (let i = 0; i < headers.length; i++) bytes += headers[i][0].length + headers[i][1].length + 4;
  return bytes;
}
