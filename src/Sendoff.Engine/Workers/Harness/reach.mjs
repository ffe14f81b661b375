// @ts-check
// Disables functions that Node's permission model does not restrict: signals and priorities of other processes, and V8's flags, which
// can write files at any path. The originals are only in these closures; the permission model denies `process.binding`, the other access
// to them.
import os from 'node:os';
import v8 from 'node:v8';
import { syncBuiltinESMExports } from 'node:module';

/** @param {string} what */
function refusal(what) {
  return Object.assign(new Error(`steps may not ${what}`), { code: 'ERR_ACCESS_DENIED' });
}

export function keepToItself() {
  const target = /** @type {any} */ (process), own = process.pid, kill = target._kill, setPriority = os.setPriority;
  // process.kill calls it by this name.
  target._kill = (/** @type {any} */ pid, /** @type {any} */ signal) => {
    if ((pid | 0) !== own) throw refusal('signal other processes');
    return kill(own, signal | 0);
  };
  target._debugProcess = () => { throw refusal('open a debugger'); };
  os.setPriority = (/** @type {any} */ pid, /** @type {any} */ priority) => {
    if (priority === undefined) return setPriority(pid);
    if ((pid | 0) !== 0 && (pid | 0) !== own) throw refusal('set the priority of other processes');
    return setPriority(own, priority);
  };
  v8.setFlagsFromString = () => { throw refusal('change the flags of V8'); };
  syncBuiltinESMExports();
}
