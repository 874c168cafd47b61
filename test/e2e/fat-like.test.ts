// Goal: a destination that stores times in steps of two seconds and no permissions, such as FAT,
// gets changed files and nothing else, from our own store as from stock rsync. Method: such a file
// system over FUSE.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { fsck } from './support/stock.ts';

const DRIVER = path.resolve(import.meta.dirname, '../support/fat-like.py');
const OLD_SEC = 1_600_000_000;

let bench: Bench;
let disk: string;
beforeEach(async () => {
  bench = await makeBench();
  disk = path.join(bench.dir, 'disk');
  const behind = path.join(bench.dir, 'behind');
  for (const folder of [disk, behind, path.join(bench.source, 'sub')]) {
    mkdirSync(folder, { recursive: true });
  }
  execFileSync('/usr/bin/python3', [DRIVER, behind, disk], { stdio: 'ignore' });
  for (let i = 0; i < 6; i++) {
    for (const file of [`file ${i}`, `sub/file ${i}`]) write(file, OLD_SEC + i);
  }
  chmodSync(path.join(bench.source, 'file 0'), 0o600);
  await initVault(bench);
});
afterEach(async () => {
  execFileSync('fusermount', ['-u', disk]);
  await bench.remove();
});

function write(file: string, timeSec: number): void {
  writeFileSync(path.join(bench.source, file), `${file} ${timeSec}`);
  utimesSync(path.join(bench.source, file), timeSec, timeSec);
}

function run(command: string, ...words: readonly string[]): Promise<CliResult> {
  const copy = path.join(disk, 'copy');
  return ecsync([command, copy, '-C', bench.source, '--passfile', bench.passfile, ...words]);
}

describe.each([
  ['written by ecsync', []],
  ['written by rsync', ['--rsync-path', 'rsync']],
])('a disk as FAT, %s', { timeout: 60_000 }, (_how, words) => {
  it('is asked once what it keeps, and later gets only changed files', async () => {
    const first = await run('push', ...words);
    expect(first.code).toBe(0);
    expect(first.stderr).toContain('keeps times to two seconds only, as FAT does');
    expect(first.stderr).toContain('does not keep permissions as they are sent');
    const push = (...more: string[]): Promise<CliResult> => run('push', '-i', ...words, ...more);
    expect(await push()).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await push('--append-only')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await run('verify', ...words)).toMatchObject({ code: 0, stderr: '' });

    appendFileSync(path.join(bench.source, 'file 1'), '!');
    write('sub/file 2', OLD_SEC + 100);
    renameSync(path.join(bench.source, 'file 3'), path.join(bench.source, 'sub', 'moved'));
    const changed = await push('--delete');
    expect(changed).toMatchObject({ code: 0, stderr: '' });
    const names = changed.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(12).split(' => ')[0]);
    const files = new Set(names.filter((name) => name?.endsWith('/') === false));
    // On a disk without links the moved file is sent again, and its old name deleted.
    files.delete('file 3');
    expect(files).toEqual(new Set(['file 1', 'sub/file 2', 'sub/moved']));
    expect(await push('--delete')).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(await run('verify', ...words)).toMatchObject({ code: 0, stderr: '' });
    expect(await fsck(path.join(disk, 'copy'), bench.passfile)).toMatchObject({ code: 0 });
  });
});

it('a disk that loses odd seconds at the next mount is recognised by the next push', async () => {
  for (let i = 0; i < 10; i++) write(`odd ${i}`, OLD_SEC + 2 * i + 1);
  const copy = path.join(bench.dir, 'copy');
  const common = ['--passfile', bench.passfile, '-C', bench.source];
  const push = (): Promise<CliResult> => ecsync(['push', copy, '-i', ...common]);
  /** As FAT stores it once it is mounted again. */
  const remount = (): void => {
    for (const name of readdirSync(copy, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(copy, name);
      const timeSec = Math.floor(statSync(file).mtimeMs / 2000) * 2;
      utimesSync(file, timeSec, timeSec);
    }
  };
  expect(await push()).toMatchObject({ code: 0, stderr: '' });
  remount();
  const second = await push();
  expect(second.code).toBe(0);
  expect(second.stdout).toContain('<f..t...... odd 3');
  expect(second.stderr).toContain('keeps times to two seconds only');
  remount();
  expect(await push()).toMatchObject({ code: 0, stdout: '', stderr: '' });
  write('odd 3', OLD_SEC + 50);
  expect((await push()).stdout).toContain('<f..t...... odd 3');
});

it('remote test says that times are coarse', async () => {
  mkdirSync(path.join(disk, 'copy'));
  const { stdout } = await ecsync(['remote', 'test', path.join(disk, 'copy'), '-C', bench.source]);
  expect(stdout).toMatch(/^push +yes +.*times are kept to two seconds only, as FAT does/m);
});
