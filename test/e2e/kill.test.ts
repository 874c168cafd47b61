import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

/** For more points, commands and transports: `npm run campaign -- --part kills`. */
const POINTS = Number(process.env['ECSYNC_KILL_POINTS'] ?? 4);
/** The deletions exceed the default limit. */
const DELETE = ['--delete', '--max-delete', '100%'] as const;

/**
 * Whether some process on this machine still works on a folder, because its server has not ended
 * yet.
 */
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

/**
 * A push is killed with SIGKILL at points spread over its whole course. At every point stock
 * gocryptfs must call the copy clean, and the next push must complete it.
 */
describe('a push killed at any point', () => {
  let sshd: RunningSshd;
  let bench: Bench;
  let full: Bench;
  beforeAll(async () => {
    sshd = await startSshd();
    bench = await makeBench();
    makeBusyTree(bench.source, 150, 8);
    await initVault(bench);
    full = { ...bench, copy: path.join(bench.dir, 'full') };
  }, 120_000);
  afterAll(async () => {
    await bench.remove();
    await sshd.stop();
  });

  function words(target: Bench, ...more: string[]): string[] {
    const destination = `ssh://${sshd.user}@127.0.0.1:${sshd.port}${target.copy}`;
    return ['push', '-C', target.source, '--passfile', target.passfile, ...more, destination];
  }

  /** Pushes and kills the client after `ms`. True if the push was still running then. */
  async function pushKilledAfter(ms: number, ...more: string[]): Promise<boolean> {
    const result = await ecsync(words(bench, ...more), {
      env: { HOME: sshd.home },
      onStart: (child) => {
        setTimeout(() => child.kill('SIGKILL'), ms);
      },
    });
    while (isInUse(bench.copy)) await sleep(20);
    return result.signal === 'SIGKILL';
  }

  async function pushWhole(target: Bench, ...more: string[]): Promise<number> {
    const startedMs = performance.now();
    const result = await ecsync(words(target, ...more), { env: { HOME: sshd.home } });
    expect(result.stderr).toBe('');
    expect(result.code).toBe(0);
    return performance.now() - startedMs;
  }

  async function expectEqual(): Promise<void> {
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'] })),
    );
    expect(found).toEqual([]);
  }

  /** Deletes the vault's memory of its destinations, as before a first push. */
  function forget(): void {
    rmSync(path.join(bench.source, '.ecsync', 'index'), { recursive: true, force: true });
  }

  it(`leaves a clean tree at ${POINTS} points of a first push`, { timeout: 600_000 }, async () => {
    const wholeMs = await pushWhole(full);
    let started = 0;
    for (let point = 1; point <= POINTS; point++) {
      rmSync(bench.copy, { recursive: true, force: true });
      forget();
      await pushKilledAfter((wholeMs * (point + 2)) / (POINTS + 3));
      // Before the conf exists the folder is not a filesystem yet, and must hold no visible
      // objects.
      if (existsSync(path.join(bench.copy, 'gocryptfs.conf'))) {
        started++;
        const report = await fsck(bench.copy, bench.passfile);
        expect(report.code, `point ${point}: ${report.text}`).toBe(0);
      } else if (existsSync(bench.copy)) {
        expect(readdirSync(bench.copy).filter((n) => !n.startsWith('gocryptfs.'))).toEqual([]);
      }
    }
    expect(started).toBeGreaterThan(POINTS / 4);
    await pushWhole(bench);
    await expectEqual();
  });

  it(
    `leaves a clean tree at ${POINTS} points of a push with deletes`,
    { timeout: 600_000 },
    async () => {
      const before = path.join(bench.dir, 'before');
      execFileSync('cp', ['-a', bench.copy, before]);
      const index = path.join(bench.dir, 'index');
      cpSync(path.join(bench.source, '.ecsync', 'index'), index, { recursive: true });
      for (const name of readdirSync(bench.source)) {
        if (/[2468]$/.test(name)) rmSync(path.join(bench.source, name), { recursive: true });
      }
      for (let i = 0; i < 20; i++) {
        mkdirSync(path.join(bench.source, `new ${i}`, 'N'.repeat(190)), { recursive: true });
        writeFileSync(path.join(bench.source, `new ${i}`, 'N'.repeat(190), 'file'), `new ${i}`);
      }
      const restoreCopy = (): void => {
        rmSync(bench.copy, { recursive: true, force: true });
        execFileSync('cp', ['-a', before, bench.copy]);
        forget();
        cpSync(index, path.join(bench.source, '.ecsync', 'index'), { recursive: true });
      };
      restoreCopy();
      const wholeMs = await pushWhole(bench, ...DELETE);
      for (let point = 1; point <= POINTS; point++) {
        restoreCopy();
        await pushKilledAfter((wholeMs * (point + 2)) / (POINTS + 3), ...DELETE);
        const report = await fsck(bench.copy, bench.passfile);
        expect(report.code, `point ${point}: ${report.text}`).toBe(0);
      }
      await pushWhole(bench, ...DELETE);
      await expectEqual();
    },
  );
});
