import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree, makeHardTree } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

/** Servers that accept only `rsync --server …`, and servers with an older protocol. */
describe('rrsync that allows one login at a time', () => {
  it(
    'is waited for while another login is active, and named if that stays',
    { timeout: 60_000 },
    async () => {
      const bench = await makeBench();
      mkdirSync(bench.source);
      writeFileSync(path.join(bench.source, 'a'), 'content');
      await initVault(bench);
      mkdirSync(bench.copy);
      const sshd = await startSshd({ forcedCommand: `rrsync -wo ${bench.copy}` });
      const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}/./.`;
      const run = (command: string, ...more: readonly string[]): Promise<CliResult> =>
        ecsync(
          [command, '-C', bench.source, '--passfile', bench.passfile, '--json', ...more, url],
          {
            env: { HOME: sshd.home },
          },
        );
      /** Holds the lock of rrsync on its folder for this time. */
      const hold = (seconds: number): ChildProcess =>
        spawn('flock', ['-o', bench.copy, 'sleep', String(seconds)], { stdio: 'ignore' });
      try {
        const holders = [hold(3)];
        expect(summaryOf(await run('push'))).toMatchObject({ exitCode: 0, filesSent: 1 });
        writeFileSync(path.join(bench.source, 'b'), 'content');
        holders.push(hold(3));
        const planned = summaryOf(await run('plan', '--exact'));
        expect(planned).toMatchObject({ exitCode: 0, filesSent: 1, exact: true });
        holders.push(hold(40));
        const refused = await run('push');
        expect(refused.code).toBe(5);
        expect(refused.stderr).toContain('another command is at work in that folder there');
        expect(refused.stderr).toContain('-no-lock');
        for (const holder of holders) holder.kill();
      } finally {
        await sshd.stop();
        await bench.remove();
      }
    },
  );
});

describe('rrsync as a forced command', () => {
  let bench: Bench;
  let shelf: string;
  beforeAll(async () => {
    bench = await makeBench();
    makeHardTree(bench.source);
    await initVault(bench);
    shelf = path.join(bench.dir, 'shelf');
    mkdirSync(path.join(shelf, 'sub'), { recursive: true });
  });
  afterAll(() => bench.remove());

  // What the user writes, and its place inside the restricted folder.
  const cases = [
    { written: '/./copies', place: 'copies', mode: '-wo' },
    { written: '/copies2', place: 'copies2', mode: '-wo' },
    { written: '/./sub/copies', place: 'sub/copies', mode: '' },
  ];
  it.each(cases)(
    'accepts a push to $written (rrsync $mode)',
    { timeout: 120_000 },
    async ({ written, place, mode }) => {
      const sshd = await startSshd({ forcedCommand: `rrsync ${mode} ${shelf}` });
      const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${written}`;
      const words = [
        'push',
        '-C',
        bench.source,
        '-H',
        '--delete',
        '--json',
        '--passfile',
        bench.passfile,
        destination,
      ];
      const env = { HOME: sshd.home };
      try {
        const first = await ecsync(words, { env });
        // rrsync of rsync 3.5 stores no pipes, and does not report that to every client.
        expect(first.stderr).toContain('kinds/fifo was not stored');
        expect(first.stderr.match(/was not stored/g)).toHaveLength(1);
        expect(first.code).toBe(23);
        const copy = path.join(shelf, place);
        expect((await fsck(copy, bench.passfile)).code).toBe(0);
        const found = await withMount(copy, bench.passfile, (mountpoint) =>
          Promise.resolve(
            differences(bench.source, mountpoint, { ignore: ['.ecsync'], links: true }),
          ),
        );
        expect(found).toEqual([expect.stringContaining('fifo')]);
        writeFileSync(path.join(bench.source, 'new'), 'new');
        rmSync(path.join(bench.source, 'names', 'a b'), { force: true });
        const second = await ecsync(words, { env });
        expect(second.code).toBe(23);
        expect(summaryOf(second).filesSent).toBeLessThanOrEqual(1);
        expect((await fsck(copy, bench.passfile)).code).toBe(0);
      } finally {
        await sshd.stop();
      }
    },
  );
});

describe.each([27, 29, 30, 31, 32])('protocol %i, forced from our side', (protocol) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await makeBench();
    makeBusyTree(bench.source, 20, 6);
    makeHardTree(path.join(bench.source, 'hard'));
    // The older protocols carry times as 32 bits.
    execFileSync('touch', ['-d', '@1000000000', path.join(bench.source, 'hard', 'sizes', '15')]);
    await initVault(bench);
  });
  afterAll(() => bench.remove());

  it('delivers an equal tree and deletes from it', { timeout: 120_000 }, async () => {
    const sshd = await startSshd();
    const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
    const words = [
      'push',
      '-C',
      bench.source,
      '--protocol',
      String(protocol),
      '-H',
      '--delete',
      '--json',
      '--passfile',
      bench.passfile,
      destination,
    ];
    try {
      const first = await ecsync(words, { env: { HOME: sshd.home } });
      expect(first.stderr).toBe('');
      expect(first.code).toBe(0);
      rmSync(path.join(bench.source, 'folder 0'), { recursive: true, force: true });
      rmSync(path.join(bench.source, 'folder 3'), { recursive: true, force: true });
      writeFileSync(path.join(bench.source, 'new'), 'new');
      const second = await ecsync(words, { env: { HOME: sshd.home } });
      expect(second.code).toBe(0);
      expect(summaryOf(second).filesSent).toBe(1);
      expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
      const options = { ignore: ['.ecsync'], links: true, nanoseconds: protocol >= 31 };
      const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
        Promise.resolve(differences(bench.source, mountpoint, options)),
      );
      expect(found).toEqual([]);
    } finally {
      await sshd.stop();
    }
  });
});
