import type { ChildProcess } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree, pattern } from './support/hard-tree.ts';

/** For each transport. */
const POINTS = Number(process.env['ECSYNC_KILL_POINTS'] ?? 4);
const IGNORED = { ignore: ['.ecsync', '.ecsync-restore'], nanoseconds: false };
const LARGE = 16 * 1024 * 1024;

let sshd: RunningSshd;
let bench: Bench;
let target: string;
beforeAll(async () => {
  sshd = await startSshd();
  bench = await makeBench();
  target = path.join(bench.dir, 'target');
  makeBusyTree(bench.source, 60, 8);
  writeFileSync(path.join(bench.source, 'large'), pattern(LARGE));
  await initVault(bench);
  const words = ['push', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
  expect((await ecsync(words)).code).toBe(0);
}, 120_000);
afterAll(async () => {
  await bench.remove();
  await sshd.stop();
});

function from(place: string): string {
  return place === 'ssh' ? `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}` : bench.copy;
}

/**
 * When to kill: after a time, or when so many files have their names, or when an unfinished file
 * has so many bytes.
 */
type Moment =
  { readonly afterMs: number } | { readonly atFiles: number } | { readonly atBytes: number };

function isReached(moment: Exclude<Moment, { readonly afterMs: number }>): boolean {
  return 'atFiles' in moment
    ? restoredFiles().length >= moment.atFiles
    : unfinishedBytes() >= moment.atBytes;
}

function killAt(moment: Moment, child: ChildProcess): void {
  if ('afterMs' in moment) {
    setTimeout(() => child.kill('SIGKILL'), moment.afterMs);
    return;
  }
  const watch = setInterval(() => {
    try {
      if (isReached(moment)) child.kill('SIGKILL');
    } catch {
      // The folder of unfinished files was removed meanwhile.
    }
  }, 1);
  child.once('exit', () => {
    clearInterval(watch);
  });
}

function run(words: readonly string[], moment?: Moment): Promise<CliResult> {
  return ecsync([...words, '--passfile', bench.passfile, '--json'], {
    env: { HOME: sshd.home },
    ...(moment !== undefined && {
      onStart: (child) => {
        killAt(moment, child);
      },
    }),
  });
}

function figures(result: CliResult): { filesRestored: number; literalBytes: number } {
  const last = result.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as { filesRestored: number; literalBytes: number };
}

/** Files with their final names, relative to the target. */
function restoredFiles(): string[] {
  if (!existsSync(target)) return [];
  return readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(target, path.join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith('.ecsync'));
}

/** Length of the longest unfinished file. */
function unfinishedBytes(): number {
  const workplace = path.join(target, '.ecsync-restore');
  const names = existsSync(workplace) ? readdirSync(workplace) : [];
  return Math.max(0, ...names.map((name) => lstatSync(path.join(workplace, name)).size));
}

/** Asserts that every file with its final name is complete. Returns how many there are. */
function assertWholeFiles(): number {
  const names = restoredFiles();
  for (const name of names) {
    const restored = readFileSync(path.join(target, name));
    expect(restored.equals(readFileSync(path.join(bench.source, name))), name).toBe(true);
  }
  return names.length;
}

describe.each(['a local folder', 'ssh'])('killed at any point, from %s', (place) => {
  const words = (): string[] => {
    return ['restore', '-C', bench.source, '--from', from(place), '--to', target];
  };

  it(
    'a restore leaves whole files, and the next run fetches the rest',
    { timeout: 600_000 },
    async () => {
      rmSync(target, { recursive: true, force: true });
      const startedMs = performance.now();
      const whole = figures(await run(words()));
      const wholeMs = performance.now() - startedMs;
      let interrupted = 0;
      for (let point = 1; point <= POINTS; point++) {
        rmSync(target, { recursive: true, force: true });
        // The middle of the run is fast, so half of the kill points depend on the files.
        const afterMs = (wholeMs * (point + 2)) / (POINTS + 3);
        const atFiles = Math.ceil((whole.filesRestored * point) / (2 * POINTS));
        await run(words(), point % 2 === 0 ? { afterMs } : { atFiles });
        const there = assertWholeFiles();
        if (there > 0 && there < whole.filesRestored) interrupted++;
        const next = await run(words());
        expect(next.code, next.stderr).toBe(0);
        expect(figures(next).filesRestored).toBe(whole.filesRestored - there);
        expect(differences(bench.source, target, IGNORED)).toEqual([]);
        expect(existsSync(path.join(target, '.ecsync-restore'))).toBe(false);
      }
      expect(interrupted).toBeGreaterThan(0);
    },
  );
});

it('a large file continues where it was interrupted', async () => {
  const only = ['restore', '-C', bench.source, '--from', from('ssh'), '--to', target, 'large'];
  let begun = 0;
  // The file is complete a few hundredths of a second later, so sometimes it is faster than the
  // kill.
  for (let trial = 1; begun === 0; trial++) {
    expect(trial, 'never seen unfinished').toBeLessThan(50);
    rmSync(target, { recursive: true, force: true });
    await run(only, { atBytes: LARGE / 4 });
    begun = existsSync(path.join(target, 'large')) ? 0 : unfinishedBytes();
  }
  expect(begun).toBeGreaterThanOrEqual(LARGE / 4);
  const next = await run(only);
  expect(next.code).toBe(0);
  expect(figures(next).literalBytes).toBeLessThan(LARGE - begun + 1024 * 1024);
  expect(readFileSync(path.join(target, 'large')).equals(pattern(LARGE))).toBe(true);
});

it('a clone that was killed at any point continues', { timeout: 600_000 }, async () => {
  const words = ['clone', from('ssh'), target];
  rmSync(target, { recursive: true, force: true });
  const startedMs = performance.now();
  expect((await run(words)).code).toBe(0);
  const wholeMs = performance.now() - startedMs;
  for (let point = 1; point <= POINTS; point += 2) {
    rmSync(target, { recursive: true, force: true });
    const killed = await run(words, { afterMs: (wholeMs * (point + 2)) / (POINTS + 3) });
    assertWholeFiles();
    if (killed.code !== 0) {
      const next = await run(words);
      expect(next.code, next.stderr).toBe(0);
    }
    expect(differences(bench.source, target, IGNORED)).toEqual([]);
    expect(readdirSync(target).filter((name) => name.startsWith('.ecsync'))).toEqual(['.ecsync']);
    const push = ['push', '-C', target, '-i', '--delete', 'origin', '--passfile', bench.passfile];
    const pushed = await ecsync(push, { env: { HOME: sshd.home } });
    expect(pushed).toMatchObject({ code: 0, stdout: '', stderr: '' });
  }
});
