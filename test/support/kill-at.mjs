// Loaded before a program (`node --import`): kills it just before the n-th time that it makes, renames
// or removes a name, KILL_AT=n. Writes to the file KILL_COUNT how many times there were, if it lives.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const at = Number(process.env['KILL_AT']);
const CHANGES = [
  'linkSync',
  'mkdirSync',
  'openSync',
  'renameSync',
  'rmdirSync',
  'symlinkSync',
  'unlinkSync',
];
let count = 0;
process.on('exit', () => fs.writeFileSync(process.env['KILL_COUNT'], String(count)));

for (const name of CHANGES) {
  const change = fs[name];
  fs[name] = (...words) => {
    const isReading = name === 'openSync' && (Number(words[1]) & fs.constants.O_CREAT) === 0;
    if (!isReading) count += 1;
    if (!isReading && count === at) {
      process.kill(process.pid, 'SIGKILL');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
    }
    return change(...words);
  };
}
syncBuiltinESMExports();
