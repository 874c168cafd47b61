// What a sparse image costs: node native-bench/sparse.ts [GIB] [MIB], by hand. Pushes it through a stock rsync on this
// machine, again after nothing and after a little has changed, checks and restores it, and prints a table.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const MIB = 2 ** 20;
const [gib = 10, mib = 16] = process.argv.slice(2).map(Number);
const program = fileURLToPath(new URL('../dist/bin/ecsync.js', import.meta.url));
const work = mkdtempSync(path.join(tmpdir(), 'ecsync-sparse-bench-'));
const source = path.join(work, 'source');
const copy = path.join(work, 'copy');
const image = path.join(source, 'image');
const passfile = path.join(work, 'passfile');

function edit(act: (fd: number) => void): void {
  const fd = openSync(image, 'r+');
  act(fd);
  closeSync(fd);
}

function diskOf(folder: string): string {
  return execFileSync('du', ['-sk', folder], { encoding: 'utf8' }).split('\t')[0] ?? '';
}

function run(what: string, words: readonly string[], shows?: string): void {
  const startMs = performance.now();
  const all = [program, ...words, '--passfile', passfile, '--json'];
  const out = execFileSync(process.execPath, all, {
    encoding: 'utf8',
    cwd: source,
    maxBuffer: 2 ** 28,
  });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  const summary = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '{}') as Record<string, number>;
  const { bytesSent = 0, bytesReceived = 0 } = summary;
  const disk = shows === undefined ? '' : `, ${diskOf(shows)} KiB on disk`;
  process.stdout.write(
    `${what}: ${seconds} s, sent ${bytesSent}, received ${bytesReceived}${disk}\n`,
  );
}

try {
  mkdirSync(source);
  writeFileSync(passfile, 'secret\n', { mode: 0o600 });
  writeFileSync(image, '');
  edit((fd) => {
    ftruncateSync(fd, gib * 1024 * MIB);
    for (let i = 0; i < mib; i++) {
      writeSync(fd, randomBytes(MIB), 0, MIB, Math.floor((i / mib) * gib * 1024) * MIB);
    }
  });
  execFileSync(process.execPath, [
    program,
    'init',
    source,
    '--passfile',
    passfile,
    '--scryptn',
    '10',
  ]);
  const push = ['push', copy, '--rsync-path', 'rsync'];
  mkdirSync(copy);
  run('first push', push, copy);
  run('nothing changed', push);
  edit((fd) => writeSync(fd, randomBytes(MIB), 0, MIB, gib * 512 * MIB + 12_345));
  run('1 MiB written into a hole', push, copy);
  run('fsck', ['fsck', copy]);
  run(
    'restore',
    ['restore', '--from', copy, '--to', path.join(work, 'back')],
    path.join(work, 'back'),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
