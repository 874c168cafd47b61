// Loaded before a program (`node --import`): kills it at the n-th change of a file that it makes,
// CRASH_AT=n. A write is cut off in its middle.
import fs from 'node:fs';

const at = Number(process.env['CRASH_AT']);
let count = 0;

function isDue() {
  count += 1;
  return count === at;
}

function die() {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
}

const CHANGES = ['renameSync', 'rmSync', 'linkSync', 'utimesSync', 'chownSync', 'fsyncSync'];
for (const name of CHANGES) {
  const change = fs[name];
  fs[name] = (...words) => {
    if (isDue()) die();
    return change(...words);
  };
}

const { openSync, writeFileSync } = fs;
fs.openSync = (file, flags, ...rest) => {
  const isChange = typeof flags === 'string' && flags.includes('w');
  if (isChange && isDue()) die();
  return openSync(file, flags, ...rest);
};
fs.writeFileSync = (file, content, ...rest) => {
  if (!isDue()) return writeFileSync(file, content, ...rest);
  writeFileSync(file, Buffer.from(content).subarray(0, content.length >> 1), ...rest);
  return die();
};
