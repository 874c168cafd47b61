/**
 * Goal: an object with a time or a size beyond all limits is reported, and everything else is
 * pushed and restored.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  mkdirSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliResult, ecsync } from './support/cli.ts';

/** A file system that accepts any time and any length. */
const MEMORY = '/dev/shm';
/** Beyond the range of 64-bit nanoseconds, and of a Date. */
const TIMES = ['9223372036854775807', '-9000000000000'];

let dir: string;
let passfile: string;
beforeAll(() => {
  dir = mkdtempSync(path.join(MEMORY, 'ecsync-odd-'));
  passfile = path.join(dir, 'pw');
  writeFileSync(passfile, 'pw\n', { mode: 0o600 });
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

function touch(file: string, time: string): void {
  execFileSync('touch', ['-h', '-d', `@${time}`, file]);
}

async function makeSource(name: string): Promise<string> {
  const source = path.join(dir, name);
  mkdirSync(path.join(source, 'folder'), { recursive: true });
  for (const file of ['near', 'folder/inside']) writeFileSync(path.join(source, file), file);
  const init = ['init', source, '--scryptn', '10', '--passfile', passfile];
  expect((await ecsync(init)).code).toBe(0);
  return source;
}

function pushed(source: string, copy: string, ...words: string[]): Promise<CliResult> {
  return ecsync(['push', '-C', source, '--passfile', passfile, copy, ...words]);
}

describe('times', () => {
  it.each(TIMES)('a file, a folder and a link of the time %s', async (time) => {
    const source = await makeSource(`times ${time}`);
    const copy = path.join(dir, `copy of times ${time}`);
    writeFileSync(path.join(source, 'far'), 'far');
    symlinkSync('near', path.join(source, 'link'));
    for (const name of ['far', 'link', 'folder']) touch(path.join(source, name), time);
    const first = await pushed(source, copy);
    expect(first.code, first.stderr).toBe(23);
    for (const name of ['far', 'link', 'folder']) {
      expect(first.stderr).toContain(`${name}: its time of modification is too far out`);
    }
    const target = path.join(dir, `back from ${time}`);
    const restore = ['restore', '-C', source, '--passfile', passfile, '--from', copy];
    const back = await ecsync([...restore, '--to', target]);
    expect(back.code, back.stderr).toBe(0);
    for (const file of ['near', 'far', 'folder/inside']) {
      expect(readFileSync(path.join(target, file), 'utf8')).toBe(file);
    }
    const next = await pushed(source, copy, '--json');
    const summary = JSON.parse(next.stdout.trimEnd().split('\n').at(-1) ?? '') as object;
    expect(summary).toMatchObject({ exitCode: 23, filesSent: 0 });
  });
});

it('a sparse file longer than anything that can be stored', async () => {
  const source = await makeSource('sizes');
  const copy = path.join(dir, 'copy of sizes');
  execFileSync('truncate', ['-s', '9007199254740000', path.join(source, 'endless')]);
  const first = await pushed(source, copy);
  expect(first.code, first.stderr).toBe(23);
  expect(first.stderr).toContain('endless claims to have 9007199254740000 bytes');
  const list = await ecsync(['ls', '-R', '--from', copy, '--passfile', passfile]);
  expect(list.stdout).toContain('folder/inside');
  expect(list.stdout).not.toContain('endless');
  expect(existsSync(path.join(copy, 'gocryptfs.conf'))).toBe(true);
});

it('a copy whose file has a time far out, as another program left it, is read', async () => {
  const source = await makeSource('foreign times');
  const copy = path.join(dir, 'copy of foreign times');
  expect((await pushed(source, copy)).code).toBe(0);
  for (const name of execFileSync('ls', [copy], { encoding: 'utf8' }).trim().split('\n')) {
    if (!name.startsWith('gocryptfs.')) touch(path.join(copy, name), TIMES[0] ?? '');
  }
  const rsh = ['--rsync-path', 'rsync'];
  for (const words of [
    ['ls', '-lR'],
    ['restore', '--to', path.join(dir, 'back from foreign times')],
  ]) {
    const result = await ecsync([...words, '--from', copy, '--passfile', passfile, ...rsh]);
    expect(result.code, result.stderr).toBe(0);
  }
  const back = path.join(dir, 'back from foreign times', 'folder', 'inside');
  expect(readFileSync(back, 'utf8')).toBe('folder/inside');
});
