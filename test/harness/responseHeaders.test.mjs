// @ts-check
// The header lines of a response: the cases are those that ResponseHeadersTests reads.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { findBadType, whyLeftOut } from '../../src/Sendoff.Engine/Workers/Harness/responseHeaders.mjs';

const cases = JSON.parse(readFileSync(new URL('../cases/response-headers.json', import.meta.url), 'utf8'));

test('Lines that a response cannot carry are told from those that it can', () => {
  for (const { name, value, isSent } of cases.lines)
    assert.equal(whyLeftOut(name, value) === null, isSent, `${name}: ${JSON.stringify(value)}`);
});

test('One media type is told from what a browser could take for another one', () => {
  for (const { values, isGood } of cases.types)
    assert.equal(
      findBadType(values.map((/** @type {string} */ value) => ['Content-Type', value])) === null, isGood,
      JSON.stringify(values).slice(0, 100));
});
