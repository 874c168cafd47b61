import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, summaryOf } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

const POINTS = Number(process.env['ECSYNC_KILL_POINTS'] ?? 4);

/** Whether a server still works on a folder. */
function isInUse(folder: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return words.startsWith('rsync\0--server') && words.includes(folder);
    } catch {
      return false; // it ended meanwhile
    }
  });
}

describe('a push of moved files, killed at any point', () => {
  let sshd: RunningSshd;
  let bench: Bench;
  beforeAll(async () => {
    sshd = await startSshd();
    bench = await makeBench();
    makeBusyTree(path.join(bench.source, 'tree'), 150, 8);
    const long = path.join(bench.source, 'tree', 'L'.repeat(190));
    mkdirSync(long);
    for (let i = 0; i < 20; i++)
      writeFileSync(path.join(long, `${i}${'l'.repeat(180)}`), `file ${i}`);
    mkdirSync(path.join(bench.source, 'logs'));
    for (let i = 0; i < 8; i++)
      writeFileSync(path.join(bench.source, 'logs', `log.${i}`), 'l'.repeat(i));
    // Old times, so that no file is checked twice.
    execFileSync('find', [bench.source, '-exec', 'touch', '-h', '-d', '@1600000000', '{}', '+']);
    await initVault(bench);
  }, 120_000);
  afterAll(async () => {
    await bench.remove();
    await sshd.stop();
  });

  async function push(killAfterMs?: number): Promise<{ isKilled: boolean; filesSent: number }> {
    const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
    const words = ['push', '-C', bench.source, '--passfile', bench.passfile, '--delete', '--json'];
    const result = await ecsync([...words, destination], {
      env: { HOME: sshd.home },
      onStart: (child) => {
        if (killAfterMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      },
    });
    while (isInUse(bench.copy)) await sleep(20);
    if (result.signal === 'SIGKILL') return { isKilled: true, filesSent: 0 };
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    return { isKilled: false, filesSent: summaryOf(result).filesSent };
  }

  it(
    `leaves a clean tree at ${POINTS} points, and the next push completes it`,
    {
      timeout: 600_000,
    },
    async () => {
      await push();
      const before = path.join(bench.dir, 'before');
      const index = path.join(bench.dir, 'index');
      const ownIndex = path.join(bench.source, '.ecsync', 'index');
      execFileSync('cp', ['-a', bench.copy, before]);
      cpSync(ownIndex, index, { recursive: true });
      const restoreCopy = (): void => {
        for (const folder of [bench.copy, ownIndex]) rmSync(folder, { recursive: true });
        execFileSync('cp', ['-a', before, bench.copy]);
        cpSync(index, ownIndex, { recursive: true });
      };
      renameSync(path.join(bench.source, 'tree'), path.join(bench.source, 'moved tree'));
      const log = (i: number): string => path.join(bench.source, 'logs', `log.${i}`);
      for (let i = 7; i >= 0; i--) renameSync(log(i), log(i + 1));
      const startedMs = performance.now();
      expect((await push()).filesSent).toBe(0);
      const wholeMs = performance.now() - startedMs;
      let killed = 0;
      for (let point = 1; point <= POINTS; point++) {
        restoreCopy();
        if ((await push((wholeMs * (point + 6)) / (POINTS + 7))).isKilled) killed++;
        const report = await fsck(bench.copy, bench.passfile);
        expect(report.code, `point ${point}: ${report.text}`).toBe(0);
        await push();
        const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
          Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'] })),
        );
        expect(found, `point ${point}`).toEqual([]);
      }
      expect(killed).toBeGreaterThan(POINTS / 4);
    },
  );
});
