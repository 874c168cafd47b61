import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, summaryOf } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { fsck, withMount } from './support/stock.ts';

const MIB = 1024 * 1024;

/** `/usr/share` of this machine, tens of thousands of files as they come, over a real sshd. */
describe('/usr/share over ssh', () => {
  let sshd: RunningSshd;
  let bench: Bench;
  beforeAll(async () => {
    sshd = await startSshd();
    bench = await makeBench();
    mkdirSync(bench.source);
    execFileSync('cp', ['-a', '/usr/share', path.join(bench.source, 'share')]);
    execFileSync('sh', [
      '-c',
      `head -c ${512 * MIB} /dev/urandom > "$1"`,
      'sh',
      path.join(bench.source, 'half a gigabyte'),
    ]);
    await initVault(bench);
  }, 300_000);
  afterAll(async () => {
    await bench.remove();
    await sshd.stop();
  });

  async function push(...words: string[]) {
    const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
    const all = [
      'push',
      '-C',
      bench.source,
      '--json',
      '--passfile',
      bench.passfile,
      ...words,
      destination,
    ];
    const result = await ecsync(all, { env: { HOME: sshd.home } });
    return { ...result, summary: summaryOf(result) };
  }

  async function mountEqualsSource(): Promise<void> {
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'], links: true })),
    );
    expect(found).toEqual([]);
  }

  it('arrives whole', { timeout: 600_000 }, async () => {
    const result = await push('-H');
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    expect(result.summary.filesSent).toBeGreaterThan(10_000);
    await mountEqualsSource();
  });

  it('is not sent again', { timeout: 120_000 }, async () => {
    const { code, summary } = await push('-H');
    expect(code).toBe(0);
    expect(summary).toMatchObject({ filesSent: 0, literalBytes: 0, filesDeleted: 0 });
  });

  it('costs less than 16 KiB for 8 bytes changed in 512 MiB', { timeout: 120_000 }, async () => {
    const file = openSync(path.join(bench.source, 'half a gigabyte'), 'r+');
    writeSync(file, Buffer.from('8 bytes!'), 0, 8, 300 * MIB + 4092);
    closeSync(file);
    const { code, summary } = await push('-H');
    expect(code).toBe(0);
    expect(summary.filesSent).toBe(1);
    expect(summary.literalBytes).toBeGreaterThan(0);
    expect(summary.literalBytes).toBeLessThan(16 * 1024);
  });

  it('loses a deleted file and gains a new one', { timeout: 300_000 }, async () => {
    rmSync(path.join(bench.source, 'half a gigabyte'));
    writeFileSync(path.join(bench.source, 'share', 'new file'), 'new');
    const { code, summary } = await push('-H', '--delete');
    expect(code).toBe(0);
    expect(summary).toMatchObject({ filesSent: 1, filesDeleted: 1 });
    await mountEqualsSource();
  });
});
