// @ts-check
// The grammar of methods, URLs and header lines: the cases are those that HttpSyntaxTests reads.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isHeaderValue, isMethod, isToken } from '../../src/Sendoff.Engine/Workers/Harness/httpSyntax.mjs';
import { encodeSend } from '../../src/Sendoff.Engine/Workers/Harness/send.mjs';

const cases = JSON.parse(readFileSync(new URL('../cases/http-syntax.json', import.meta.url), 'utf8'));

test('A URL is sent in its normal form or refused with its value', () => {
  for (const { url, sent } of cases.urls) {
    const send = () => encodeSend({ method: 'GET', url }, () => {}).url;
    if (sent === null) assert.throws(send, { code: 'SENDOFF_INVALID_SEND', message: /^\$send\.http: invalid value .* for url/s }, url);
    else assert.equal(send(), sent);
  }
});

test('Methods, tokens and header values are told from what a request cannot hold', () => {
  for (const [name, isLegal] of /** @type {const} */ ([['methods', isMethod], ['tokens', isToken], ['headerValues', isHeaderValue]])) {
    assert.ok(cases[name].length > 3);
    for (const one of cases[name]) assert.equal(isLegal(one.text), one.isLegal, `${name}: ${JSON.stringify(one.text)}`);
  }
});
