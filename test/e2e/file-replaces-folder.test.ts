// A file that takes the name of a folder of the copy.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { fsck, withMount } from './support/stock.ts';

const HOOK = pathToFileURL(path.resolve('test/support/stale-at.mjs')).href;

describe('a file where the copy has a folder', () => {
  let sshd: RunningSshd;
  let bench: Bench;
  let name: string;
  beforeAll(async () => {
    sshd = await startSshd();
    bench = await makeBench();
    name = path.join(bench.source, 'name');
    mkdirSync(bench.source);
    writeFileSync(path.join(bench.source, 'other'), 'other');
    await initVault(bench);
  });
  afterAll(async () => {
    await bench.remove();
    await sshd.stop();
  });

  function push(words: readonly string[] = [], env: Record<string, string> = {}) {
    const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
    const all = ['push', '-C', bench.source, '--delete', '--passfile', bench.passfile, ...words];
    return ecsync([...all, destination], { env: { HOME: sshd.home, ...env } });
  }

  /** The copy has a folder with content under a name that is a file in the source. */
  async function folderBecomesFile(): Promise<void> {
    rmSync(name, { force: true });
    mkdirSync(path.join(name, 'below'), { recursive: true });
    writeFileSync(path.join(name, 'below', 'file'), 'in the folder');
    expect((await push()).code).toBe(0);
    rmSync(name, { recursive: true });
    writeFileSync(name, 'a file now');
  }

  async function expectEqualCopy(): Promise<void> {
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'] })),
    );
    expect(found).toEqual([]);
  }

  it('arrives with the first push after one that was killed at a write of its memory', async () => {
    for (const at of [3, 4, 5]) {
      await folderBecomesFile();
      const env = { NODE_OPTIONS: `--import ${HOOK}`, STALE_AT: String(at), STALE_FILE: name };
      expect((await push([], env)).signal).toBe('SIGKILL');
      expect(await push(), `killed at write ${at}`).toMatchObject({ code: 0, stderr: '' });
      await expectEqualCopy();
    }
  });

  it('arrives with a push that deletes last, because its bytes are limited', async () => {
    await folderBecomesFile();
    expect(await push(['--max-bytes', '1G'])).toMatchObject({ code: 0, stderr: '' });
    await expectEqualCopy();
  });
});
