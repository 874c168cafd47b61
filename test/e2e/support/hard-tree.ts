import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

const BLOCK = 4096;
const MIB = 1024 * 1024;

function at(root: string, ...names: (string | Buffer)[]): Buffer {
  const parts = names.map((name) => Buffer.concat([Buffer.from('/'), Buffer.from(name)]));
  return Buffer.concat([Buffer.from(root), ...parts]);
}

/** Deterministic, incompressible-looking content of any size. */
export function pattern(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/**
 * Names: every single byte except `/` and NUL, lengths around the limits, newlines, invalid UTF-8.
 */
function makeNames(root: string): void {
  const folder = path.join(root, 'names');
  mkdirSync(folder);
  for (let byte = 1; byte < 256; byte++) {
    if (byte === 0x2f || byte === 0x2e) continue;
    writeFileSync(at(folder, Buffer.from([byte])), `byte ${byte}`);
  }
  for (const length of [15, 16, 17, 31, 32, 175, 176, 177, 239, 240, 254, 255]) {
    writeFileSync(at(folder, 'n'.repeat(length)), `length ${length}`);
  }
  const odd = [
    '.x',
    '..x',
    '...',
    'a\nb',
    'a b',
    ' lead',
    'trail ',
    '\'"\\$`*?[]{}',
    '-rf',
    '~',
    'ü',
    'e\u0301',
  ];
  for (const name of odd) writeFileSync(at(folder, name), name);
  writeFileSync(at(folder, Buffer.from([0xff, 0xfe, 0x01, 0x80])), 'not UTF-8');
  writeFileSync(at(folder, Buffer.from('\x1b[31mred\x07')), 'terminal');
  for (const name of [
    'gocryptfs.conf',
    'gocryptfs.diriv',
    'gocryptfs.longname.x',
    'gocryptfs.longname.x.name',
  ]) {
    writeFileSync(at(folder, name), name);
    writeFileSync(at(root, name), `root ${name}`);
  }
  writeFileSync(at(root, '.gocryptfs.reverse.conf.txt'), 'x');
  mkdirSync(at(folder, 'd'.repeat(255)));
  writeFileSync(at(folder, 'd'.repeat(255), 'f'.repeat(255)), 'long in long');
  mkdirSync(at(folder, 'd'.repeat(176)));
}

function makeSizes(root: string): void {
  const folder = path.join(root, 'sizes');
  mkdirSync(folder);
  const sizes = [
    0,
    1,
    2,
    15,
    16,
    17,
    BLOCK - 1,
    BLOCK,
    BLOCK + 1,
    2 * BLOCK,
    MIB - 1,
    MIB,
    MIB + 1,
  ];
  for (const size of sizes) writeFileSync(path.join(folder, String(size)), pattern(size, size + 1));
}

/** A sparse file beyond 4 GiB with data at its start, across the 4 GiB line and at its end. */
export function makeSparse(file: string, size: number): void {
  const fd = openSync(file, 'w');
  ftruncateSync(fd, size);
  for (const offset of [0, 2 ** 31 - 3, 2 ** 32 - 3, size - 7]) {
    if (offset >= 0 && offset + 7 <= size) writeSync(fd, Buffer.from('ecsync!'), 0, 7, offset);
  }
  closeSync(fd);
}

function makeKinds(root: string): void {
  const folder = path.join(root, 'kinds');
  mkdirSync(folder);
  symlinkSync('../sizes/1', path.join(folder, 'link'));
  symlinkSync('nowhere', path.join(folder, 'dangling'));
  symlinkSync('/etc/passwd', path.join(folder, 'absolute'));
  symlinkSync(Buffer.from([0xff, 0x0a, 0x41]), at(folder, 'odd target'));
  symlinkSync('t'.repeat(3000), path.join(folder, 'long target'));
  symlinkSync('../kinds', path.join(folder, 'to a folder'));
  execFileSync('mkfifo', [path.join(folder, 'fifo')]);
  writeFileSync(path.join(folder, 'first'), pattern(10_000, 5));
  linkSync(path.join(folder, 'first'), path.join(folder, 'second'));
  mkdirSync(path.join(folder, 'aa'));
  linkSync(path.join(folder, 'first'), path.join(folder, 'aa', 'third'));
  const modes = [0o600, 0o444, 0o000, 0o755, 0o4755, 0o2755, 0o1777];
  for (const mode of modes) {
    const file = path.join(folder, `mode ${mode.toString(8)}`);
    writeFileSync(file, 'm');
    chmodSync(file, mode);
  }
  mkdirSync(path.join(folder, 'read-only folder'));
  writeFileSync(path.join(folder, 'read-only folder', 'inside'), 'x');
  chmodSync(path.join(folder, 'read-only folder'), 0o555);
}

function makeDeep(root: string): void {
  let folder = path.join(root, 'deep');
  mkdirSync(folder);
  for (let level = 0; level < 40; level++) {
    folder = path.join(folder, `level ${level}`);
    mkdirSync(folder);
    if (level % 8 === 0) writeFileSync(path.join(folder, 'file'), `at level ${level}`);
  }
}

function setTimes(root: string): void {
  utimesSync(path.join(root, 'sizes', '1'), 1, 1);
  utimesSync(path.join(root, 'sizes', '2'), 0, 2 ** 31 - 1);
  utimesSync(path.join(root, 'sizes', '15'), 0, 2 ** 31 + 5);
  utimesSync(path.join(root, 'sizes', '16'), 0, 1_234_567_890.987_654);
  lutimesSync(path.join(root, 'kinds', 'link'), 0, 1_111_111_111);
  utimesSync(path.join(root, 'deep'), 0, 999_999_999);
}

/** Everything that is known to break backup tools, in one small tree. */
export function makeHardTree(root: string): void {
  mkdirSync(root, { recursive: true });
  makeNames(root);
  makeSizes(root);
  makeKinds(root);
  makeDeep(root);
  mkdirSync(path.join(root, 'empty folder'));
  setTimes(root);
}

/** Many folders and files of moderate size: something to interrupt. */
export function makeBusyTree(root: string, folders: number, filesEach: number): void {
  for (let i = 0; i < folders; i++) {
    const parent = i % 3 === 0 ? root : path.join(root, `folder ${i - (i % 3)}`);
    const folder = path.join(parent, i % 7 === 0 ? `${'long '.repeat(40)}${i}` : `folder ${i}`);
    mkdirSync(folder, { recursive: true });
    for (let j = 0; j < filesEach; j++) {
      writeFileSync(
        path.join(folder, `file ${j}`),
        pattern(500 + ((i * 37 + j * 91) % 9000), i + j + 1),
      );
    }
  }
}
