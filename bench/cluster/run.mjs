// Several servers on one PostgreSQL database, under load, while servers are killed, frozen, stopped and restarted at random and the
// database is restarted twice. Counts at the receiver and in the database: nothing acknowledged is lost, nothing is sent twice.
//
//   node bench/cluster/run.mjs --program FOLDER [--servers 4] [--events 20000] [--seed 1] [--rate 200]
//
// FOLDER has sendoff.dll (dotnet publish src/Sendoff). Needs PostgreSQL 15 and psql. Uses loopback only.
import { spawn, spawnSync, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values: given } = parseArgs({
  options: {
    program: { type: 'string' },
    servers: { type: 'string', default: '4' },
    events: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    rate: { type: 'string', default: '200' },
  },
});
const [servers, events, rate] = [+given.servers, +given.events, +given.rate];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sendoff-cluster-'));
const tools = fs.readdirSync('/usr/lib/postgresql').map(v => `/usr/lib/postgresql/${v}/bin`).at(-1);
const asPostgres = process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
const token = 'token-of-the-cluster-1';

let state = BigInt(given.seed);
function random(below) { // xorshift, so that a seed repeats the order of what is done
  state ^= (state << 13n) & 0xffffffffffffffffn; state ^= state >> 7n; state ^= (state << 17n) & 0xffffffffffffffffn;
  return Number(state % BigInt(below));
}
const sleep = ms => new Promise(done => setTimeout(done, ms));
const log = text => console.log(`${((Date.now() - start) / 1000).toFixed(1).padStart(6)}  ${text}`);
const start = Date.now();

// PostgreSQL, with fsync.
const run = (tool, ...args) => {
  const [program, ...rest] = [...asPostgres, path.join(tools, tool), ...args];
  const done = spawnSync(program, rest, { cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] });
  if (done.status !== 0) throw new Error(`${tool} ended with ${done.status}`);
};
if (asPostgres.length) execFileSync('chown', ['postgres', folder]);
fs.chmodSync(folder, 0o755);
const data = path.join(folder, 'data');
run('initdb', '-D', data, '-U', 'sendoff', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8');
fs.appendFileSync(path.join(data, 'postgresql.conf'),
  `listen_addresses=''\nunix_socket_directories='${folder}'\nmax_connections=200\nshared_buffers=256MB\nmax_wal_size=4GB\n`);
const upDatabase = () => run('pg_ctl', '-D', data, '-l', path.join(folder, 'log'), '-w', 'start');
const downDatabase = mode => run('pg_ctl', '-D', data, '-m', mode, '-w', 'stop');
upDatabase();
const sql = (text, database = 'sendoff') =>
  execFileSync('psql', ['-h', folder, '-U', 'sendoff', '-d', database, '-Atc', text], { encoding: 'utf8' }).trim();
sql('CREATE DATABASE sendoff', 'postgres');

// The receiver counts each delivery.
const seen = new Map();
const receiver = http.createServer((request, response) => {
  seen.set(request.url, (seen.get(request.url) ?? 0) + 1);
  request.resume().on('end', () => setTimeout(() => response.end('ok'), random(40)));
});
await new Promise(done => receiver.listen(0, '127.0.0.1', done));
const target = `http://127.0.0.1:${receiver.address().port}`;

// The servers.
const all = Array.from({ length: servers }, (_, i) => ({ name: `s${i + 1}`, port: 24100 + i, process: null, frozen: false }));
function launch(server) {
  const out = fs.openSync(path.join(folder, `${server.name}.log`), 'a');
  server.process = spawn('dotnet', [path.join(given.program, 'sendoff.dll'), 'serve', '--data', path.join(folder, server.name)], {
    stdio: ['ignore', out, out],
    env: {
      ...process.env,
      SENDOFF_Database: `Host=${folder};Database=sendoff;Username=sendoff`,
      SENDOFF_Listen: `http://127.0.0.1:${server.port}`,
      SENDOFF_Auth__Token: token,
      SENDOFF_Secrets__Key: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
      SENDOFF_Egress__Allow: '127.0.0.0/8',
    },
  });
  fs.closeSync(out);
  // Started while the database is away, it ends with one line; a service manager starts it again.
  const started = server.process;
  started.once('exit', code => { if (code === 2 && server.process === started) setTimeout(() => launch(server), 500); });
}
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const ask = (server, method, url, body) => new Promise(done => {
  const request = http.request({
    agent, host: '127.0.0.1', port: server.port, path: url, method, timeout: 30_000,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
  }, response => {
    let text = '';
    response.on('data', part => { text += part; }).on('end', () => done({ status: response.statusCode, text }));
    response.on('error', () => done({ status: 0 }));
  });
  request.on('error', () => done({ status: 0 })).on('timeout', () => request.destroy());
  request.end(body && JSON.stringify(body));
});
async function ready(server) {
  for (let i = 0; i < 1200; i++, await sleep(100)) if ((await ask(server, 'GET', '/healthz/ready')).status === 200) return;
  throw new Error(`${server.name} is not ready; see ${folder}/${server.name}.log`);
}
for (const server of all) launch(server);
for (const server of all) await ready(server);

const step =
  `for (let i = 0; i < 3; i++) $send.http({ method: 'POST', url: '${target}/' + event.body.id + '/' + i, data: event.body });`;
const files = (key, extra, code) => ({
  'workflow.yaml': `${extra}triggers: [ { type: http, key: ${key} } ]\nsteps: [ { namespace: step, uses: ./step.js } ]`,
  'step.js': code,
});
const workflows = {
  plain: files('plain', '', step),
  single: files('single', 'settings: { concurrency: 1 }\n', step),
  waits: {
    'workflow.yaml':
      'triggers: [ { type: http, key: waits } ]\n' +
      'steps: [ { namespace: wait, uses: ./wait.mjs }, { namespace: step, uses: ./step.js } ]',
    'wait.mjs': 'export default { async run({ $ }) { return $.flow.delay(3000); } };',
    'step.js': step,
  },
  emits: files('emits', '', "$send.emit(event.body, 'things');"),
  hears: {
    'workflow.yaml': 'triggers: [ { type: emit, workflow: emits } ]\nsteps: [ { namespace: step, uses: ./step.js } ]',
    'step.js': step.replaceAll('event.body', 'event'),
  },
};
for (const [name, content] of Object.entries(workflows)) {
  const answer = await ask(all[0], 'PUT', `/api/v1/workflows/${name}`, { files: content });
  if (answer.status >= 300) throw new Error(`${name}: ${answer.status} ${answer.text}`);
}
await sleep(2_000);
log(`${servers} servers, ${events} events at ${rate}/s, seed ${given.seed}, ${folder}`);

// What goes wrong.
let over = false;
const counts = { killed: 0, frozen: 0, stopped: 0 };
async function trouble() {
  while (!over) {
    await sleep(3_000 + random(4_000));
    if (over) return;
    const server = all[random(servers)];
    const how = ['killed', 'frozen', 'stopped'][random(3)];
    counts[how]++;
    log(`${server.name} is ${how}`);
    if (how === 'frozen') {
      server.process.kill('SIGSTOP');
      await sleep(random(2) ? 3_000 : 22_000);
      server.process.kill('SIGCONT');
    } else {
      const ended = new Promise(done => server.process.once('exit', done));
      server.process.kill(how === 'killed' ? 'SIGKILL' : 'SIGTERM');
      await ended;
      await sleep(random(3_000));
      launch(server);
    }
    await ready(server);
  }
}
async function databaseTrouble() {
  for (const mode of ['fast', 'immediate']) {
    await sleep((events / rate) * 1000 / 3);
    log(`the database is restarted (${mode})`);
    downDatabase(mode);
    await sleep(1_000);
    upDatabase();
  }
}

// The load: an event that is not acknowledged is not sent again, and may or may not run.
const acknowledged = new Set(), refused = { };
const kinds = ['plain', 'plain', 'plain', 'plain', 'plain', 'plain', 'single', 'waits', 'emits', 'plain'];
async function load() {
  const pending = new Set();
  for (let i = 0; i < events; i++) {
    const kind = kinds[i % kinds.length];
    const sent = ask(all[i % servers], 'POST', `/hooks/${kind}`, { id: `${kind}-${i}` }).then(({ status }) => {
      if (status === 200) acknowledged.add(`${kind}-${i}`);
      else refused[status] = (refused[status] ?? 0) + 1;
      pending.delete(sent);
    });
    pending.add(sent);
    if (i % 10 === 9) await sleep(10_000 / rate);
  }
  await Promise.all(pending);
}
const troubles = [trouble(), databaseTrouble()];
await load();
log(`acknowledged ${acknowledged.size}, refused ${JSON.stringify(refused)}`);
over = true;
await Promise.all(troubles);

// The end: nothing waits any more.
const unfinished = () => sql(`SELECT (SELECT count(*) FROM queue) + (SELECT count(*) FROM deliveries WHERE status IN (2, 3))
  + (SELECT count(*) FROM suspensions WHERE continued_by IS NULL)`);
for (let i = 0; i < 180 && unfinished() !== '0'; i++) await sleep(1_000);

const twice = [...seen].filter(([, count]) => count > 1).map(([url]) => url);
const urls = sql('SELECT url FROM deliveries WHERE status = 7').split('\n').filter(Boolean);
const interrupted = new Set(urls.map(url => url.slice(target.length)));
const failed = sql('SELECT count(*) FROM deliveries WHERE status IN (5, 6)');
const lost = [];
for (const id of acknowledged)
  for (let i = 0; i < 3; i++)
    if (!seen.has(`/${id}/${i}`) && !interrupted.has(`/${id}/${i}`)) lost.push(`/${id}/${i}`);
const report = {
  servers, events, seed: +given.seed, ...counts, acknowledged: acknowledged.size, refused,
  received: seen.size, twice: twice.length, lost: lost.length, interrupted: interrupted.size, failed: +failed, unfinished: +unfinished(),
  recovered: +sql('SELECT count(*) FROM runs WHERE flags % 2 = 1'), seconds: Math.round((Date.now() - start) / 1000),
};
console.log(JSON.stringify(report));
if (twice.length || lost.length) console.log(JSON.stringify({ twice: twice.slice(0, 20), lost: lost.slice(0, 20) }));

for (const server of all) server.process.kill('SIGKILL');
receiver.close();
agent.destroy();
const bad = twice.length || lost.length || report.unfinished || report.failed;
downDatabase('immediate');
if (!bad) fs.rmSync(folder, { recursive: true, force: true });
process.exit(bad ? 1 : 0);
