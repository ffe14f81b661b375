// @ts-check
// Templates in props: what `{{ }}` comes to in both generations of steps.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from './support.mjs';

const EVENT = { body: { name: 'Ada <b>L</b>', n: 3, list: [1, 2], deep: { a: { b: 1 } }, no: null } };

/** The prop as it is written, what it comes to. */
const templates = /** @type {[string, any, any][]} */ ([
  ['Text without braces', 'plain', 'plain'],
  ['One expression keeps a number', '{{steps.trigger.event.body.n}}', 3],
  ['One expression keeps an object', '{{ steps.trigger.event.body.deep }}', { a: { b: 1 } }],
  ['One expression keeps null', '{{event.body.no}}', null],
  ['One expression keeps a boolean', '{{event.body.n > 2}}', true],
  ['An expression in a YAML block, with a line break behind it', '{{ event.body.n }}\n', 3],
  ['An expression over several lines', '{{\n  event.body.list\n    .map(n => n * 2)\n}}', [2, 4]],
  ['Mixed text', 'Hello {{event.body.name}}!', 'Hello Ada <b>L</b>!'],
  ['A space before an expression is text', ' {{event.body.n}}', ' 3'],
  ['Two expressions', '{{event.body.n}}{{event.body.n + 1}}', '34'],
  ['Nothing becomes no text', '[{{event.body.no}}{{event.body.missing}}]', '[]'],
  ['An object inside text is JSON', 'x {{event.body.deep}}', 'x {"a":{"b":1}}'],
  ['An object literal', '{{ { a: { b: event.body.n } } }}', { a: { b: 3 } }],
  ['An object literal without spaces', '{{{a:{b:1}}}}', { a: { b: 1 } }],
  ['Braces in a string', '{{ "a }} b" + event.body.n }}', 'a }} b3'],
  ['Braces in a string in single quotes', "{{ '{{' + '}}' }} end", '{{}} end'],
  ['A template literal with braces', '{{ `n=${ [{ n: event.body.n }].map(({ n }) => { return n }) }}}` }}', 'n=3}}'],
  ['A regular expression', "{{event.body.name.replace(/<.*?>|}}/g, '')}}", 'Ada L'],
  ['A function with braces', '{{ event.body.list.map(n => { return { n }}) }}', [{ n: 1 }, { n: 2 }]],
  ['A comment', '{{ event.body.n // the number\n }}', 3],
  ['A comment at the end', '{{ event.body.n /* }} */ }}', 3],
  ['The environment', '{{process.env.NAME}}', 'value'],
  ['A variable that is not set, inside text', 'x{{process.env.MISSING}}', 'x'],
  ['Braces that are never closed', 'a {{ b', 'a {{ b'],
  ['Single braces', '{ "a": 1 }', '{ "a": 1 }'],
  [
    'In lists and objects', { list: ['{{event.body.n}}', 'x'], in: { deep: 'n is {{event.body.n}}' } },
    { list: [3, 'x'], in: { deep: 'n is 3' } },
  ],
  ['In a labelled option', { __lv: { label: 'L', value: '{{event.body.n}}' } }, 3],
  ['An optional chain', "{{event.body.x?.y ?? 'none'}}", 'none'],
  ['A date', '{{new Date(0)}}', '1970-01-01T00:00:00.000Z'],
  ['An earlier step', '{{steps.first.$return_value.id}}', 7],
  ['An export of an earlier step', 'is {{steps["first"].x}}', 'is y'],
]);
const files = {
  v1: { 'first.js': 'this.x = "y"; return { id: 7 }', 's.js': 'return params.p' },
  v2: {
    'first.js': 'this.x = "y"; return { id: 7 }', 's.mjs': 'export default { props: { p: { type: "string" } }, run() { return this.p } }',
  },
};
for (const [what, p, expected] of templates) test(`A template in a prop: ${what}`, async () => {
  for (const sources of Object.values(files)) {
    const names = Object.keys(sources);
    const result = await once(
      /** @type {any} */ (sources), EVENT, { steps: [{ name: 'first', file: names[0] }, { name: 's', file: names[1], props: { p } }] });
    assert.deepEqual(result.value, expected, JSON.stringify(result.error));
    assert.deepEqual(result.step.inputs, { p: expected });
  }
});

const any = /** @type {[string, any, any][]} */ ([
  ['an object without braces around it', '{ "photos": event.body.list }', { photos: [1, 2] }],
  ['a path', 'steps.trigger.event.body.n', 3],
  ['a literal', 'null', null],
  ['a word', 'ok', 'ok'],
  ['words', 'all is well', 'all is well'],
  ['markup', '<p>Hi</p>', '<p>Hi</p>'],
  ['a template', '{{event.body.n}}', 3],
  ['a number', 200, 200],
]);
for (const [what, p, expected] of any) test(`A prop of the type any may be an expression as a whole: ${what}`, async () => {
  const result = await once(
    { 's.mjs': 'export default { props: { p: { type: "any" } }, run() { return this.p } }' }, EVENT,
    { steps: [{ name: 's', file: 's.mjs', props: { p } }] });
  assert.deepEqual(result.value, expected, JSON.stringify(result.error));
});

test('Only props of the type any are expressions without braces', async () => {
  const result = await once(
    { 's.mjs': 'export default { props: { p: { type: "string" } }, run() { return this.p } }' }, EVENT,
    { steps: [{ name: 's', file: 's.mjs', props: { p: 'event.body.n' } }] });
  assert.equal(result.value, 'event.body.n');
});

const failures = /** @type {[string, string, string, RegExp][]} */ ([
  ['a name that is not there', 'x {{nothing}}', 'ReferenceError', /^prop channel: nothing is not defined$/],
  ['a field of undefined', '{{steps.missing.$return_value}}', 'TypeError', /^prop channel: Cannot read properties of undefined/],
  ['no JavaScript', '{{ event..body }}', 'SyntaxError', /^prop channel: Unexpected token/],
  ['a circular value', '{{ (a => a.a = a)({}) }}', 'TypeError', /^prop channel: Converting circular structure/],
  ['something thrown', '{{ (() => { throw "no" })() }}', 'Error', /^prop channel: no$/],
]);
for (const [what, channel, name, message] of failures)
  test(`A template that fails is the step's error and names the prop: ${what}`, async () => {
  const result = await once(
    { 's.js': 'console.log("never")' }, EVENT, { steps: [{ name: 's', file: 's.js', props: { fine: '{{event.body.n}}', channel } }] });
  assert.deepEqual([result.end.status, result.error.name, result.error.code, result.logs], ['failed', name, 'SENDOFF_PROP', []]);
  assert.match(result.error.message, message);
  assert.deepEqual(result.step.inputs, { fine: 3 });
});

test('What a step does to a prop changes neither the event nor the record', async () => {
  const result = await once(
    { 's.js': 'params.p.n = 9; return [event.body.n, steps.trigger.event.body.n]' }, EVENT,
    { steps: [{ name: 's', file: 's.js', props: { p: '{{event.body}}' } }] });
  assert.deepEqual(result.value, [3, 3]);
  assert.equal(result.step.inputs.p.n, 3);
});

test('Values over the limit name the setting', async () => {
  const result = await once(
    { 's.js': '' }, EVENT, { steps: [{ name: 's', file: 's.js', props: { p: '{{"x".repeat(5000)}}' } }], limits: { valueBytes: 1000 } });
  assert.match(
    result.error.message, /^the values of the props have 5\d\d\d bytes, over the limit of 1000 \(setting Runs:MaxExportBytes\)$/);
});
