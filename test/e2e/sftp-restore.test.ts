// Goal: an account that has SFTP and nothing else gives everything back.
import * as fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, type CliResult } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree } from './support/hard-tree.ts';

let bench: Bench;
let sshd: RunningSshd;
beforeAll(async () => {
  bench = await makeBench();
  makeHardTree(bench.source);
  await initVault(bench);
  const passfile = ['--passfile', bench.passfile];
  const pushed = await ecsync(['push', '-H', '-C', bench.source, ...passfile, bench.copy]);
  expect(pushed).toMatchObject({ code: 0, stderr: '' });
  sshd = await startSshd({ configLines: ['ForceCommand internal-sftp'] });
});
afterAll(async () => {
  await sshd.stop();
  await bench.remove();
});

function from(command: string, ...words: readonly string[]): Promise<CliResult> {
  const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
  const all = [command, '--from', url, '--passfile', bench.passfile, ...words];
  return ecsync(all, { env: { HOME: sshd.home }, cwd: bench.dir });
}

test('restore reads over SFTP where the account runs no commands', async () => {
  const target = path.join(bench.dir, 'back');
  const restored = await from('restore', '--to', target, '--perms', '--special-modes');
  expect(restored).toMatchObject({ code: 0 });
  // SFTP tells whole seconds, and no names of one file.
  const options = { ignore: ['.ecsync'], nanoseconds: false };
  expect(differences(bench.source, target, options)).toEqual([]);
  const again = await from('restore', '--to', target, '--perms', '--special-modes', '-i');
  expect(again).toMatchObject({ code: 0, stdout: '' });
});

test('some paths come alone', async () => {
  const [first] = fs.readdirSync(bench.source).filter((name) => name.startsWith('sizes'));
  const target = path.join(bench.dir, 'part');
  const restored = await from('restore', `/${first ?? ''}`, '--to', target);
  expect(restored).toMatchObject({ code: 0, stderr: '' });
  const source = path.join(bench.source, first ?? '');
  const found = differences(source, path.join(target, first ?? ''), { nanoseconds: false });
  expect(found.filter((line) => !/: mode /.test(line))).toEqual([]);
});

test('extended attributes do not come over SFTP, which is said once', async () => {
  const [first = ''] = fs.readdirSync(bench.source).filter((name) => name.startsWith('sizes'));
  const target = path.join(bench.dir, 'attributes');
  const restored = await from('restore', '-X', `/${first}`, '--to', target);
  expect(restored).toMatchObject({ code: 23 });
  expect(restored.stderr.match(/which has no extended attributes: none is restored/g)).toHaveLength(
    1,
  );
  expect(fs.existsSync(path.join(target, first))).toBe(true);
});

test('what needs rsync says so: a clone, which is to be pushed to', async () => {
  const cloned = await ecsync(
    [
      'clone',
      `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`,
      path.join(bench.dir, 'clone'),
      ...['--passfile', bench.passfile],
    ],
    { env: { HOME: sshd.home } },
  );
  expect(cloned.code).toBe(5);
  expect(cloned.stderr).toContain('runs no commands');
});
