// @ts-check
// What a component's props and methods come to on `this`, and accounts in both generations: rules E2, E5, E9.
import http from 'node:http';
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { Worker, once } from './support.mjs';

const APP = `const slack = { type: "app", app: "slack", propDefinitions: {
  channel: { type: "string", label: "Channel", default: "general" }, size: { type: "integer" }, base: { type: "string", optional: true } },
  methods: { token() { return this.$auth.oauth_access_token }, hello(name) { return "hello " + name + " " + this.token() } } };`;
const accounts = { slack: { oauth_access_token: 'xoxb' }, apn_1: { oauth_access_token: 'mine' } };

/** @typedef {{ code: string, props?: any, event?: any, accounts?: any, value?: any, error?: RegExp, inputs?: any }} Case */
/** `code` is inside `export default defineComponent({ … })`, with the app `slack` in scope. @type {[string, Case][]} */
const cases = [
  ['Every type that is a plain value',
    { code: 'props: { s: { type: "string" }, b: { type: "boolean" }, i: { type: "integer" }, o: { type: "object" }, a: { type: "any" }, '
      + 'l: { type: "string[]" }, n: { type: "*number" } }, run() { return this }',
    props: { s: 'x', b: false, i: 0, o: { a: 1 }, a: [1], l: ['y'], n: 1.5 },
    value: { s: 'x', b: false, i: 0, o: { a: 1 }, a: [1], l: ['y'], n: 1.5 } }],
  [
    'A default where nothing is given',
    { code: 'props: { s: { type: "string", default: "d" }, l: { type: "string[]", default: ["a"] }, b: { type: "boolean", '
      + 'default: false } }, run() { return this }', value: { s: 'd', l: ['a'], b: false } },
  ],
  [
    'A value that is given wins over a default',
    {
      code: 'props: { s: { type: "string", default: "d" }, b: { type: "boolean", default: true } }, run() { return this }',
      props: { s: '', b: false }, value: { s: '', b: false },
    },
  ],
  [
    'An optional prop without a value',
    { code: 'props: { s: { type: "string", optional: true } }, run() { return "s" in this }', value: false },
  ],
  [
    'A required prop without a value',
    {
      code: 'props: { s: { type: "string" } }, run() {}',
      error: /^prop s: it is required and has no value\. Give it one under props of the step/,
    },
  ],
  [
    'A required list without a value',
    {
      code: 'props: { ok: { type: "string" }, list: { type: "integer[]" } }, run() {}', props: { ok: 'x' },
      error: /^prop list: it is required/,
    },
  ],
  [
    'A required prop whose template comes to nothing',
    {
      code: 'props: { s: { type: "string" } }, run() { return typeof this.s }', props: { s: '{{event.missing}}' }, value: 'undefined',
      inputs: {},
    },
  ],
  ['A prop that is hidden needs no value', { code: 'props: { s: { type: "string", hidden: true } }, run() { return 1 }', value: 1 }],
  [
    'A value that no prop defines',
    {
      code: 'props: { s: { type: "string", optional: true } }, run() { return this.col_0000 }', props: { col_0000: 'x{{event.n}}' },
      event: { n: 1 }, value: 'x1',
    },
  ],
  [
    'A propDefinition',
    { code: 'props: { slack, channel: { propDefinition: [slack, "channel"] }, size: { propDefinition: [slack, "size", c => ({ c })], '
      + 'optional: true } }, run() { return [this.channel, this.size ?? null] }', value: ['general', null] },
  ],
  [
    'A propDefinition that is overruled',
    { code: 'props: { channel: { propDefinition: [slack, "channel"], default: "other" } }, run() { return this.channel }', value: 'other' },
  ],
  [
    'A propDefinition that is required',
    { code: 'props: { size: { propDefinition: [slack, "size"] } }, run() {}', error: /^prop size: it is required/ },
  ],
  [
    'Methods call each other and may be handed on',
    {
      code: 'methods: { add(n) { return n + this.one() }, one: () => 1 }, run() { const { add } = this; return [1, 2].map(add) }',
      value: [2, 3],
    },
  ],
  [
    'Methods read props',
    {
      code: 'props: { s: { type: "string" } }, methods: { get() { return this.s } }, async run() { return await this.get() }',
      props: { s: 'x' }, value: 'x',
    },
  ],
  [
    'An app has its account and its methods',
    {
      code: 'props: { slack }, run() { return [this.slack.$auth.oauth_access_token, this.slack.hello("you")] }',
      props: { slack: { authProvisionId: 'apn_other' } }, accounts, value: ['xoxb', 'hello you xoxb'],
      inputs: { slack: { authProvisionId: 'apn_other' } },
    },
  ],
  [
    'An account of its own wins over the app\'s',
    {
      code: 'props: { slack }, run() { return this.slack.$auth.oauth_access_token }', props: { slack: { authProvisionId: 'apn_1' } },
      accounts, value: 'mine',
    },
  ],
  [
    'An account is found whatever the case of its id',
    {
      code: 'props: { slack }, run() { return this.slack.$auth.k }', props: { slack: { authProvisionId: 'apn_DphexA' } },
      accounts: { apn_dphexa: { k: 'v' } }, value: 'v',
    },
  ],
  [
    'An app written where it is used',
    {
      code: 'props: { chat: { type: "app", app: "slack" } }, run() { return { ...this.chat.$auth } }', accounts,
      value: { oauth_access_token: 'xoxb' },
    },
  ],
  [
    'An app without an account names the secret',
    {
      code: 'props: { slack }, run() { return this.slack.hello("you") }',
      error: /^prop slack: there is no account of the app slack\. .* such as SLACK__API_KEY or SLACK__OAUTH_ACCESS_TOKEN$/,
    },
  ],
  ['An app whose account is not needed', { code: 'props: { slack }, run() { return typeof this.slack.hello }', value: 'function' }],
  [
    'A field that an account has not',
    { code: 'props: { slack }, run() { return typeof this.slack.$auth.nope }', accounts, value: 'undefined' },
  ],
  [
    'additionalProps add their defaults',
    { code: 'props: { n: { type: "integer" } }, async additionalProps() { return { x: { type: "string", default: "x" + this.n }, '
      + 'y: { type: "string", default: "y" } } }, run() { return [this.x, this.y] }', props: { n: 1 }, value: ['x1', 'y'] },
  ],
  [
    'A required prop of additionalProps',
    { code: 'additionalProps() { return { x: { type: "string" } } }, run() {}', error: /^prop x: it is required/ },
  ],
  [
    '$.interface.http in a step',
    {
      code: 'props: { http: "$.interface.http" }, run() { this.http.respond({ status: 201, body: "ok" }); return this.http.endpoint }',
      event: { url: 'https://a.example/hook' }, value: 'https://a.example/hook',
    },
  ],
  [
    '$.interface.timer in a step',
    { code: 'props: { timer: { type: "$.interface.timer", default: { intervalSeconds: 60 } } }, '
      + 'run() { return this.timer.intervalSeconds }',
      value: 60 },
  ],
  [
    'An alert has no value',
    { code: 'props: { alert: { type: "alert", content: "Mind" } }, run() { return typeof this.alert }', value: 'undefined' },
  ],
  [
    'A folder', { code: 'props: { dir: { type: "dir" } }, async run() { const f = this.dir.open("harness-dir.txt"); '
      + `await f.fromFile(new URL(import.meta.url).pathname); await f.delete(); return f.name }`, value: 'harness-dir.txt' },
  ],
  [
    'A query with its parameters',
    {
      code: 'props: { q: { type: "sql" } }, run() { return this.q }', props: { q: { query: 'select $1', params: ['{{event.n}}'] } },
      event: { n: 1 }, value: { query: 'select $1', params: [1] },
    },
  ],
  [
    'A query that is a text',
    {
      code: 'props: { q: { type: "sql", auth: { app: "slack" } } }, run() { return this.q }', props: { q: 'select 1' },
      value: { query: 'select 1', params: [] },
    },
  ],
  ['A query that is not given', { code: 'props: { q: { type: "sql" } }, run() {}', error: /^prop q: it needs a query/ }],
  ['Labelled options where the prop says withLabel',
    { code: 'props: { a: { type: "string", withLabel: true }, b: { type: "string[]", withLabel: true }, c: { type: "string", '
      + 'withLabel: true }, d: { type: "string" } }, run() { return [this.a, this.b, this.c, this.d] }',
    props: {
      a: { __lv: { label: 'Roadmap', value: 'b{{event.n}}' } }, b: [{ __lv: { label: 'L', value: 'v' } }], c: 'plain',
      d: { __lv: { label: 'Roadmap', value: 'b1' } },
    }, event: { n: 1 },
    value: [{ label: 'Roadmap', value: 'b1' }, [{ label: 'L', value: 'v' }], { label: 'plain', value: 'plain' }, 'b1'] }],
  [
    'A list of labelled options as one',
    {
      code: 'props: { a: { type: "string[]", withLabel: true } }, run() { return this.a }',
      props: { a: { __lv: [{ label: 'L', value: 'v' }] } }, value: [{ label: 'L', value: 'v' }],
    },
  ],
  [
    'additionalProps are not asked for again where a step has their values',
    {
      code: 'props: { n: { type: "integer" } }, additionalProps() { throw new Error("asked") }, run() { return [this.n, this.y] }',
      props: { n: 1, y: 'given' }, value: [1, 'given'],
    },
  ],
];
for (const [what, { code, props, event, accounts: given, value, error, inputs }] of cases) test(`Props: ${what}`, async () => {
  const source = `${APP}\nexport default defineComponent({ ${code} })`;
  const result = await once({ 's.mjs': source }, event ?? {}, { steps: [{ name: 's', file: 's.mjs', props }], accounts: given });
  assert.deepEqual(result.loaded.problems, []);
  if (error !== undefined) {
    assert.match(result.error?.message ?? 'it succeeded', error);
    assert.equal(result.error.name, 'ConfigurationError');
  } else assert.deepEqual([result.value, result.error], [value, undefined]);
  if (inputs !== undefined) assert.deepEqual(result.step.inputs, inputs);
});

test('A propDefinition that the app does not have is a problem of the step', async () => {
  const worker = await Worker.start({ 's.mjs': `${APP}\nexport default { props: { x: { propDefinition: [slack, "nope"] } }, run() {} }` });
  assert.deepEqual(
    worker.loaded.problems.map((/** @type {any} */ p) => p.message),
    ['prop x: its propDefinition names "nope", which the app slack does not define']);
});

test('additionalProps that fail are warned of', async () => {
  const result = await once({ 's.mjs': 'export default { additionalProps() { throw new Error("offline") }, run() { return 1 } }' });
  assert.equal(result.value, 1);
  assert.deepEqual(result.warnings.map(w => w.code), ['additional_props_failed']);
});

test('A secret prop is covered in the record', async () => {
  const result = await once(
    { 's.mjs': 'export default { props: { key: { type: "string", secret: true }, n: { type: "integer" } }, run() { return this.key } }' },
    { n: 1 },
    { steps: [{ name: 's', file: 's.mjs', props: { key: 'k1', n: '{{event.n}}' } }] });
  assert.deepEqual([result.value, result.step.inputs], ['k1', { key: '••••••••', n: 1 }]);
});

test('A default is a fresh copy for each run', async () => {
  const worker = await Worker.start(
    { 's.mjs': 'export default { props: { l: { type: "string[]", default: [] } }, run() { this.l.push("x"); return this.l.length } }' });
  for (let i = 0; i < 2; i++) assert.equal((await worker.run()).value, 1);
});

test('auths of a body are the accounts by app, and by the prop that holds one', async () => {
  const steps = [{ name: 's', file: 's.js', props: { chat: { authProvisionId: 'apn_1' } } }];
  const result = await once({ 's.js': 'return [auths.slack.oauth_access_token, auths.chat.oauth_access_token]' }, {}, { steps, accounts });
  assert.deepEqual(result.value, ['xoxb', 'mine']);
  const none = await once('\nreturn auths.github.oauth_access_token');
  assert.deepEqual(none.warnings.map(({ code, line }) => [code, line]), [['missing_account', 2]]);
  assert.match(none.warnings[0].message, /GITHUB__OAUTH_ACCESS_TOKEN/);
});

test('A step cannot change the accounts of the next one', async () => {
  const result = await once(
    { 'a.js': 'auths.slack.oauth_access_token = "x"', 'b.js': 'return auths.slack.oauth_access_token' }, {}, { accounts });
  assert.equal(result.value, 'xoxb');
});

const requests = /** @type {[string, any, any][]} */ ([
  ['a GET with params and a token',
    {
      method: 'GET', url: '/a?x=1', params: [{ name: 'q', value: 'v w' }], headers: [{ name: 'x-h', value: '1' }, { name: '', value: '' }],
      auth: { type: 'bearer', token: 't' },
    },
    { method: 'GET', url: '/a?x=1&q=v+w', h: '1', auth: 'Bearer t', body: '' }],
  ['raw JSON with basic credentials',
    {
      method: 'POST', url: '/b', body: { type: 'raw', mode: 'raw', contentType: 'application/json', raw: '{"n":{{event.n}}}' },
      auth: { type: 'basic', username: 'u', password: 'p' },
    },
    { method: 'POST', url: '/b', type: 'application/json', auth: 'Basic dTpw', body: '{"n":5}' }],
  ['fields as a form',
    {
      method: 'PUT', url: '/c',
      body: { mode: 'fields', contentType: 'application/x-www-form-urlencoded', fields: [{ name: 'a', value: 'b c' }] },
    },
    { method: 'PUT', url: '/c', type: 'application/x-www-form-urlencoded', body: 'a=b+c' }],
  [
    'an object as JSON', { method: 'post', url: '/d', body: { n: 1 } },
    { method: 'POST', url: '/d', type: 'application/json', body: '{"n":1}' },
  ],
]);
for (const [what, request, expected] of requests) test(`A prop of the type http_request is made by execute(): ${what}`, async () => {
  const { url, close } = await echo();
  const code = 'export default { props: { r: { type: "http_request" } }, async run() { return await this.r.execute() } }';
  const result = await once(
    { 's.mjs': code }, { n: 5 }, { steps: [{ name: 's', file: 's.mjs', props: { r: { ...request, url: url + request.url } } }] });
  close();
  assert.deepEqual(result.value, expected, JSON.stringify(result.error));
});

test('A status from 400 fails execute()', async () => {
  const { url, close } = await echo(418);
  const code = 'export default { props: { r: { type: "http_request", default: { method: "GET" } } }, '
    + 'async run() { this.r.url = steps.trigger.event.url; try { await this.r.execute() } catch (e) { return [e.message, '
    + 'e.response.status] } } }';
  const result = await once({ 's.mjs': code.replace('run()', 'run({ steps })') }, { url });
  close();
  assert.deepEqual(result.value, ['Request failed with status code 418', 418]);
});

/** Answers what it was asked, as JSON. */
async function echo(status = 200) {
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { 'x-h': h, authorization: auth, 'content-type': type } = request.headers;
    response.writeHead(status, { connection: 'close' })
      .end(JSON.stringify({ method: request.method, url: request.url, type, h, auth, body }));
  });
  await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  return { url: `http://127.0.0.1:${/** @type {any} */ (server.address()).port}`, close: () => server.close() };
}

test('What the props of a step are is said when it is loaded', async () => {
  const code = `${APP}
export default { props: { slack, url: "string", level: { type: "integer", label: "Level", description: "How loud", optional: true,
  default: 3, options: [1, { label: "two", value: 2 }] },
  late: { type: "string", async options() { return ["x"] } } }, run() {} }`;
  const worker = await Worker.start({ 's.mjs': code });
  const [slack, url, level, late] = worker.loaded.steps[0].props;
  assert.deepEqual([slack.name, slack.type, slack.app], ['slack', 'app', 'slack']);
  assert.deepEqual(url, { name: 'url', type: 'string' });
  assert.deepEqual(
    level, {
      name: 'level', type: 'integer', label: 'Level', description: 'How loud', optional: true, default: 3,
      options: [{ label: '1', value: 1 }, { label: 'two', value: 2 }],
    });
  assert.deepEqual(late, { name: 'late', type: 'string' });
});

test('Props that cannot be said leave the step as it is', async () => {
  const worker = await Worker.start({ 's.mjs': 'export default { props: { x: { type: "integer", default: 1n } }, run() {} }' });
  assert.deepEqual([worker.loaded.problems, worker.loaded.steps[0].props], [[], undefined]);
});
