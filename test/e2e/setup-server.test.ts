import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { authorizedLine } from '../../src/cli/vault/setup-server.ts';
import { startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench } from './support/cli.ts';
import { fsck } from './support/stock.ts';

// The line that `remote setup-server` prints, at a real sshd: what its key can and cannot do.

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source);
  writeFileSync(path.join(bench.source, 'old'), 'one');
  await initVault(bench);
});
afterEach(() => bench.remove());

it.each([
  ['writing', false],
  ['adding', true],
])('a key for %s', async (_name, appendOnly) => {
  const folder = path.join(bench.dir, 'the "copy"');
  mkdirSync(folder);
  const sshd = await startSshd();
  const key = readFileSync(`${sshd.keyFile}.pub`, 'utf8').trim();
  const line = await authorizedLine({ path: folder }, key, appendOnly);
  writeFileSync(sshd.authorizedKeysFile, `${line}\n`);
  const words = ['push', '-C', bench.source, '--passfile', bench.passfile];
  const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}/./.`;
  const push = (...more: string[]): ReturnType<typeof ecsync> =>
    ecsync([...words, ...more], { env: { HOME: sshd.home } });
  try {
    expect(await push(url)).toMatchObject({ code: 0, stderr: '' });
    expect((await fsck(folder, bench.passfile)).code).toBe(0);
    expect(existsSync(path.join(folder, 'gocryptfs.conf'))).toBe(true);
    const content = (): string =>
      execFileSync('sh', ['-c', 'find . -type f | sort | xargs sha256sum'], {
        cwd: folder,
      }).toString();
    const before = content();
    writeFileSync(path.join(bench.source, 'old'), 'changed');
    writeFileSync(path.join(bench.source, 'new'), 'added');
    expect((await push(url)).code).toBe(appendOnly ? 23 : 0);
    const kept = before.split('\n').filter((one) => content().includes(one));
    expect(kept.length === before.split('\n').length).toBe(appendOnly);
    expect(content().split('\n').length).toBe(before.split('\n').length + 1);
    rmSync(path.join(bench.source, 'new'));
    const deleting = await push(url, '--delete');
    expect(deleting.code === 0).toBe(!appendOnly);
    expect((await fsck(folder, bench.passfile)).code).toBe(0);
  } finally {
    await sshd.stop();
  }
});
