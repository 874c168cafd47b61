// Goal: what is needed to read a copy is on the server's disk before the objects that it replaces
// are removed, with servers whose rsync supports that. Others are pushed to as before.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ecsync, initVault, makeBench, type Bench } from './support/cli.ts';
import { fsck } from './support/stock.ts';

let bench: Bench;
let words: string;
let refusal: string;
beforeAll(async () => {
  bench = await makeBench();
  words = path.join(bench.dir, 'words');
  refusal = path.join(bench.dir, 'refusal');
  const program = `#!/bin/sh
printf '%s\\n' "$*" >> '${words}'
case "$*" in *--fsync*) if [ -f '${refusal}' ]; then cat '${refusal}' >&2; exit 1; fi ;; esac
exec rsync "$@"
`;
  writeFileSync(path.join(bench.dir, 'program'), program, { mode: 0o755 });
  mkdirSync(at('photos'), { recursive: true });
  for (const name of ['a', 'b', 'c']) writeFileSync(at('photos', name), name);
  await initVault(bench);
});
afterAll(() => bench.remove());

const at = (...names: readonly string[]): string => path.join(bench.source, ...names);

/**
 * @returns for each run that changes anything permanently: `+` if it waits for the disk, `-` if not
 */
async function push(...more: readonly string[]): Promise<string> {
  writeFileSync(words, '');
  const program = ['--rsync-path', path.join(bench.dir, 'program')];
  const common = ['-C', bench.source, '--passfile', bench.passfile];
  const result = await ecsync(['push', ...common, ...program, ...more, bench.copy]);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const runs = readFileSync(words, 'utf8').trimEnd().split('\n');
  return runs.map((run) => (run.includes('--fsync') ? '+' : '-')).join('');
}

test('only a push of moved files waits, in the runs that store what is needed', async () => {
  expect(await push()).not.toContain('+');
  expect(await push('--delete')).not.toContain('+');
  writeFileSync(at('new'), 'new');
  expect(await push('--delete')).not.toContain('+');
  renameSync(at('photos'), at('pictures'));
  // Staged key files, folders, the question about moved files, their new names, content and
  // deletions, empty folders.
  expect(await push('--delete')).toBe('++--++');
  rmSync(at('new'));
  writeFileSync(at('newer'), 'newer');
  // Nothing that is sent replaces what is removed.
  expect(await push('--delete')).not.toContain('+');
  renameSync(at('pictures'), at('photos'));
  expect(await push()).toMatch(/^\+\+---/);
});

test.each([
  'rsync: --fsync: unknown option\nrsync error: syntax or usage error (code 1) at main.c(1795) [server=3.1.3]',
  '/usr/bin/rrsync: invalid rsync-command syntax or options',
])('a server that refuses is asked once: %s', async (said) => {
  writeFileSync(refusal, said);
  const [one, other] = ['one', 'other'].map((name) => at(`${name} ${said.length}`));
  renameSync(at('photos'), one ?? '');
  expect(await push('--delete')).toMatch(/^-?\+-+$/);
  renameSync(one ?? '', other ?? '');
  expect(await push('--delete')).not.toContain('+');
  expect(await fsck(bench.copy, bench.passfile)).toMatchObject({ code: 0 });
  renameSync(other ?? '', at('photos'));
  rmSync(bench.copy, { recursive: true });
  rmSync(at('.ecsync/index'), { recursive: true });
  await push();
});
