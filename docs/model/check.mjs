// Checks cluster.pml with Spin: what must hold holds in all of its states, and each broken rule is caught.
//
//   node docs/model/check.mjs [--only PART-OF-A-NAME]
//
// Needs spin and gcc (apt-get install spin gcc). Takes some minutes of two processors and up to 4 GB of memory.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: { only } } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const model = path.join(path.dirname(fileURLToPath(import.meta.url)), 'cluster.pml');

const holds = {
  'crash, freeze, lost answer': 'CRASH=1 FREEZE=1 LOST=1',
  'two freezes': 'FREEZE=2 LOST=1 NE=7',
  'all but an outage': 'CRASH=1 FREEZE=1 LOST=1 STOP=1 NE=7',
  'outage with crash and freeze': 'CRASH=1 FREEZE=1 OUTAGE=1 SLOW=1 NE=7',
  'an outage alone removes and interrupts nothing': 'NR=2 OUTAGE=2 SLOW=2 LOST=1 NOREMOVAL NOINT',
  'an orderly stop removes and interrupts nothing': 'NR=2 STOP=1 LOST=1 NOREMOVAL NOINT',
  'work of nobody': 'NOBODY=2 LOST=1 CRASH=1 FREEZE=1',
  'resend by hand': 'RESEND=1 LOST=1 CRASH=1 FREEZE=1',
  'two resends': 'RESEND=2 LOST=1 FREEZE=1',
  'resend, work of nobody, stop': 'RESEND=1 LOST=2 NOBODY=1 STOP=1',
  'turn, lost answer': 'TURNS NR=2 LOST=1',
  'turn, crash': 'TURNS NR=2 CRASH=1',
  'turn, freeze': 'TURNS NR=2 FREEZE=1',
  'turn, outage': 'TURNS NR=2 OUTAGE=1 LOST=1',
  'turn, stop': 'TURNS NR=2 STOP=1',
  'three servers': 'NS=3 NE=7 CRASH=1 FREEZE=1',
  'two runs': 'NR=2 CRASH=1 LOST=1',
  'leftovers of the former epoch': 'LEFTOVER FREEZE=1 CRASH=1 LOST=1',
};
const caught = {
  'the end of a run without its owner': 'MUT_FIN LEFTOVER FREEZE=1',
  'the end of a run with neither fence nor owner': 'MUT_FIN MUT_FENCE FREEZE=1',
  'marking with neither fence nor owner': 'MUT_MARK MUT_FENCE FREEZE=1 CRASH=1 NE=7',
  'recording with neither fence nor owner': 'MUT_RECORD FREEZE=1 RESEND=1',
  'work of nobody is not taken': 'MUT_NOBODY NOBODY=1',
  'removal without the rule of a whole lease': 'MUT_GAP OUTAGE=1 SLOW=1 NOREMOVAL',
  'a clock that stands still in a suspended machine': 'MUT_CLOCK FREEZE=1',
  'a resend of what is in flight': 'MUT_RESEND RESEND=1',
  'takeover sends again what was in flight': 'MUT_TAKESENDING CRASH=1',
  'a repeated end does not look at the history': 'MUT_HISTORY LOST=1',
  'an event without an answer is forgotten': 'MUT_DOUBT LOST=1',
  'a claim without an answer is forgotten': 'MUT_RELOAD LOST=1 STOP=1',
  'the turn is taken from a server that is listed': 'TURNS NR=2 MUT_TURNALIVE',
  'the turn is passed on during a run': 'TURNS NR=2 MUT_PASSRUNNING',
  'a request for the turn overtakes its passing': 'TURNS NR=2 MUT_ORDER',
  'the turn is not passed on': 'TURNS NR=2 MUT_WANTED',
  'a run of the turn starts without a lease': 'TURNS NR=2 MUT_TURNLEASE FREEZE=1',
  'a crash can interrupt': 'CRASH=1 NOINT',
};

const found = tool => { try { execFileSync('which', [tool], { stdio: 'ignore' }); return true; } catch { return false; } };
const missing = ['spin', 'gcc'].filter(tool => !found(tool));
if (missing.length) {
  console.log(`skipped: ${missing.join(' and ')} not installed; apt-get install ${missing.join(' ')}`);
  process.exit(0);
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sendoff-model-'));
const run = (program, args, cwd) => new Promise(done => {
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', part => { text += part; });
  child.stderr.on('data', part => { text += part; });
  child.on('close', code => done({ code, text }));
});

async function check([name, flags, isMutation], number) {
  const cwd = path.join(folder, String(number));
  fs.mkdirSync(cwd);
  const made = await run('spin', [...flags.split(' ').map(flag => `-D${flag}`), '-a', model], cwd);
  const options = ['-O1', '-DVECTORSZ=2048', '-DCOLLAPSE', '-DSAFETY', '-DNOREDUCE', '-DMEMLIM=4000', '-o', 'pan', 'pan.c'];
  const built = made.code === 0 ? await run('gcc', options, cwd) : made;
  if (built.code !== 0) return [false, name, flags, built.text.split('\n')[0]];
  const { text } = await run('./pan', ['-m1000000', '-E'], cwd);
  const errors = /errors: (\d+)/.exec(text)?.[1], states = /([0-9.e+]+) states, stored/.exec(text)?.[1];
  const incomplete = /max search depth too small|out of memory|memory limit/.test(text);
  const isGood = errors !== undefined && !incomplete && (errors !== '0') === isMutation;
  const violated = /assertion violated .*?(?= \(at)|never claim/.exec(text)?.[0] ?? text;
  return [isGood, name, flags, `${states} states, ${errors === '0' ? 'holds' : violated}`];
}

const jobs = [
  ...Object.entries(holds).map(([name, flags]) => [name, flags, false]),
  ...Object.entries(caught).map(([name, flags]) => [name, flags, true]),
].filter(([name]) => name.includes(only)).entries();
let bad = 0, all = 0;
const work = async () => {
  for (const [number, job] of jobs) {
    const [isGood, name, flags, result] = await check(job, number);
    all++;
    if (!isGood) bad++;
    console.log(`${isGood ? (job[2] ? 'caught' : 'holds ') : 'WRONG '} | ${name} | ${flags} | ${result}`);
  }
};
await Promise.all([work(), work()]);
fs.rmSync(folder, { recursive: true, force: true });
console.log(`${all - bad} as expected, ${bad} not`);
process.exit(bad ? 1 : 0);
