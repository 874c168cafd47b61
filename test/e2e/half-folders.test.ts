// Goal: the next push repairs a folder that a server was making or removing when it was killed,
// even if it is not in the source any more and nothing may be deleted.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ecsync, initVault, makeBench, type Bench, type CliResult } from './support/cli.ts';
import { fsck } from './support/stock.ts';

const LONG = 'l'.repeat(200);

let bench: Bench;
let program: string;
let calls: string;
beforeAll(async () => {
  bench = await makeBench();
  program = path.join(bench.dir, 'rsync');
  calls = path.join(bench.dir, 'calls');
  const script = `#!/bin/sh
[ -s '${calls}' ] || exec rsync "$@"
exec strace -f -o /dev/null -e "inject=$(cat '${calls}'):error=EIO:signal=KILL:when=1" rsync "$@"
`;
  writeFileSync(program, script, { mode: 0o755 });
  for (const folder of ['keep', LONG, 'old']) mkdirSync(at(folder), { recursive: true });
  for (const file of ['keep/file', `${LONG}/file`]) writeFileSync(at(file), file);
  await initVault(bench);
  expect(await push('')).toMatchObject({ code: 0 });
});
afterAll(() => bench.remove());

const at = (name: string): string => path.join(bench.source, name);

/** @param killedAt - the server is killed at the first of these system calls */
function push(killedAt: string, ...more: readonly string[]): Promise<CliResult> {
  writeFileSync(calls, killedAt);
  const common = ['-C', bench.source, '--passfile', bench.passfile, '--rsync-path', program];
  return ecsync(['push', ...common, ...more, bench.copy]);
}

async function isClean(): Promise<boolean> {
  return (await fsck(bench.copy, bench.passfile)).code === 0;
}

test('a half-removed folder', async () => {
  rmSync(at(LONG), { recursive: true });
  expect(await push('rmdir', '--delete')).toMatchObject({ code: 30 });
  expect(await isClean()).toBe(false);
  rmSync(at('old'), { recursive: true });
  const mended = await push('');
  expect(mended.code).toBe(0);
  expect(mended.stderr).toMatch(
    /1 folder of the copy that an earlier push had left .* was removed/,
  );
  expect(await isClean()).toBe(true);
  // Readable content stays, since nothing was to be deleted.
  const left = readdirSync(bench.copy).filter((name) => !name.startsWith('gocryptfs.'));
  expect(left).toHaveLength(2);
  expect(readdirSync(bench.copy).filter((name) => name.endsWith('.name'))).toEqual([
    'gocryptfs.longname.ecsync-tmp.name',
  ]);
});

test('a half-made folder', async () => {
  mkdirSync(at('new'));
  expect(await push('link,linkat')).toMatchObject({ code: 30 });
  expect(await isClean()).toBe(false);
  rmSync(at('new'), { recursive: true });
  expect(await push('')).toMatchObject({ code: 0 });
  expect(await isClean()).toBe(true);
  expect(await push('')).toMatchObject({ code: 0, stderr: '' });
});
