// A restore that could fetch its files, but not set their permissions or times. The next one sets
// them, except on files that were changed meanwhile.
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { straceWords } from '../../campaign/system-calls.ts';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { runProgram } from './support/run-cli.ts';

const NAMES = ['first', 'second', 'folder/third'] as const;
const IGNORED = { ignore: ['.ecsync'] };

let bench: Bench;
beforeAll(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  for (const [i, name] of NAMES.entries()) {
    const file = path.join(bench.source, name);
    writeFileSync(file, `content of ${name}`);
    chmodSync(file, 0o640);
    utimesSync(file, 1_600_000_000 + i, 1_600_000_000 + i);
  }
  utimesSync(path.join(bench.source, 'folder'), 1_500_000_000, 1_500_000_000);
  await initVault(bench);
  const push = ['push', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
  expect(await ecsync(push)).toMatchObject({ code: 0 });
});
afterAll(() => bench.remove());

function words(target: string): string[] {
  const from = ['--from', bench.copy, '--to', target, '--passfile', bench.passfile];
  return ['restore', '-C', bench.source, ...from];
}

/** Runs a restore in which every call of this name fails. */
function failing(target: string, name: string, errno: string): Promise<CliResult> {
  const injection = { call: { name, nth: 1, text: '' }, effect: errno, forGood: true };
  const [strace, ...traced] = straceWords(path.join(bench.dir, 'calls'), [name], injection);
  const program = [process.execPath, inject('cliPath'), ...words(target)];
  return runProgram(strace, [...traced, ...program]);
}

it.each([
  ['fchmod', 'EIO', 'cannot set the permissions of first: '],
  ['utimensat', 'EIO', 'cannot set the time of first: '],
  ['utimensat', 'EPERM', 'cannot set the time of first: '],
])('%s fails with %s', { timeout: 60_000 }, async (name, errno, message) => {
  const target = path.join(bench.dir, `target-${name}-${errno}`);
  const failed = await failing(target, name, errno);
  expect(failed.code, failed.stderr).toBe(23);
  expect(failed.stderr).toContain(message);
  expect(differences(bench.source, target, { ignore: ['.ecsync', '.ecsync-restore'] })).not.toEqual(
    [],
  );
  const next = await ecsync(words(target));
  expect(next, next.stderr).toMatchObject({ code: 0, stderr: '' });
  expect(differences(bench.source, target, IGNORED)).toEqual([]);
  expect(existsSync(path.join(target, '.ecsync-restore'))).toBe(false);
});

it(
  'a clone that could only not be cleaned up keeps its time when it is',
  { timeout: 60_000 },
  async () => {
    const target = path.join(bench.dir, 'clone');
    const clone = ['clone', bench.copy, target, '--passfile', bench.passfile];
    expect(await ecsync(clone)).toMatchObject({ code: 0 });
    mkdirSync(path.join(target, '.ecsync-restore'));
    const { mtime } = lstatSync(bench.source);
    utimesSync(target, mtime, mtime);
    expect(await ecsync(clone)).toMatchObject({ code: 0 });
    expect(existsSync(path.join(target, '.ecsync-restore'))).toBe(false);
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
  },
);

it('a file that was changed meanwhile is not touched', { timeout: 60_000 }, async () => {
  const target = path.join(bench.dir, 'target-changed');
  expect(await failing(target, 'utimensat', 'EIO')).toMatchObject({ code: 23 });
  const file = path.join(target, 'first');
  appendFileSync(file, ' and more');
  const { mtimeMs } = lstatSync(file);
  const next = await ecsync(words(target));
  expect(next.code).toBe(23);
  expect(next.stderr).toContain('first is there and differs; it was left as it is');
  expect(lstatSync(file).mtimeMs).toBe(mtimeMs);
  expect(differences(path.join(bench.source, 'folder'), path.join(target, 'folder'), {})).toEqual(
    [],
  );
});
