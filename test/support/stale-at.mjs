// Loaded before a program (`node --import`). While the program writes its n-th state file, STALE_AT=n,
// the file STALE_FILE is rewritten in place, within the second of its time, and the program is killed.
import fs from 'node:fs';

const at = Number(process.env['STALE_AT']);
const file = process.env['STALE_FILE'];
const { openSync, writeFileSync } = fs;
let count = 0;

function noteWrite() {
  count += 1;
  if (count !== at) return;
  const second = Math.floor(fs.statSync(file).mtimeMs / 1000);
  const fd = openSync(file, 'r+');
  fs.writeSync(fd, `edit ${at}`);
  fs.futimesSync(fd, second, second + 0.9);
  fs.closeSync(fd);
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
}

const isState = (target) => /\/index\/[^/]+\.tmp$/.test(String(target));
fs.openSync = (target, flags, ...rest) => {
  if (flags === 'wx' && isState(target)) noteWrite();
  return openSync(target, flags, ...rest);
};
fs.writeFileSync = (target, ...rest) => {
  if (isState(target)) noteWrite();
  return writeFileSync(target, ...rest);
};
