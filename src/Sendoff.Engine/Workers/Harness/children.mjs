// @ts-check
// Child processes and threads are refused (E9). Node's permission model does so as well; this error says how to allow
// them, and applies to versions without that model.
import children from 'node:child_process';
import threads from 'node:worker_threads';
import { syncBuiltinESMExports } from 'node:module';

function refuse() {
  throw Object.assign(
    new Error('steps may not start processes or threads; the setting Workers:AllowChildProcesses=true of the server allows it'),
    { code: 'ERR_ACCESS_DENIED' });
}

export function refuseChildren() {
  const target = /** @type {any} */ (children);
  for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']) target[name] = refuse;
  target.ChildProcess.prototype.spawn = refuse;
  /** @type {any} */ (threads).Worker = class Worker { constructor() { refuse(); } };
  syncBuiltinESMExports();
}
