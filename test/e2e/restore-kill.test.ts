import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, type CliResult, ecsync, initVault, makeBench } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree, pattern } from './support/hard-tree.ts';

/** Of each way a copy is reached. */
const POINTS = Number(process.env['ECSYNC_KILL_POINTS'] ?? 12);
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

function run(words: readonly string[], killAfterMs?: number): Promise<CliResult> {
  return ecsync([...words, '--passfile', bench.passfile, '--json'], {
    env: { HOME: sshd.home },
    ...(killAfterMs !== undefined && {
      onStart: (child) => setTimeout(() => child.kill('SIGKILL'), killAfterMs),
    }),
  });
}

function figures(result: CliResult): { filesRestored: number; literalBytes: number } {
  const last = result.stdout.trimEnd().split('\n').at(-1) ?? '';
  return JSON.parse(last) as { filesRestored: number; literalBytes: number };
}

/** Every file that has its name is whole; returns how many there are. */
function assertWholeFiles(): number {
  if (!existsSync(target)) return 0;
  let count = 0;
  for (const name of readdirSync(target, { recursive: true, encoding: 'utf8' })) {
    if (name.startsWith('.ecsync')) continue;
    const restored = path.join(target, name);
    if (!lstatSync(restored).isFile()) continue;
    count++;
    const source = path.join(bench.source, name);
    expect(readFileSync(restored).equals(readFileSync(source)), name).toBe(true);
  }
  return count;
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
        await run(words(), (wholeMs * (point + 2)) / (POINTS + 3));
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

it('a large file goes on where it was interrupted', async () => {
  const only = ['restore', '-C', bench.source, '--from', from('ssh'), '--to', target, 'large'];
  let begun = 0;
  for (let ms = 300; begun < 4 * 1024 * 1024; ms += 40) {
    rmSync(target, { recursive: true, force: true });
    await run(only, ms);
    if (existsSync(path.join(target, 'large'))) throw new Error('never seen unfinished');
    const workplace = path.join(target, '.ecsync-restore');
    const names = existsSync(workplace) ? readdirSync(workplace) : [];
    begun = Math.max(0, ...names.map((name) => lstatSync(path.join(workplace, name)).size));
  }
  const next = await run(only);
  expect(next.code).toBe(0);
  expect(figures(next).literalBytes).toBeLessThan(LARGE - begun + 1024 * 1024);
  expect(readFileSync(path.join(target, 'large')).equals(pattern(LARGE))).toBe(true);
});

it('a clone that was killed at any point goes on', { timeout: 600_000 }, async () => {
  const words = ['clone', from('ssh'), target];
  rmSync(target, { recursive: true, force: true });
  const startedMs = performance.now();
  expect((await run(words)).code).toBe(0);
  const wholeMs = performance.now() - startedMs;
  for (let point = 1; point <= POINTS; point += 2) {
    rmSync(target, { recursive: true, force: true });
    const killed = await run(words, (wholeMs * (point + 2)) / (POINTS + 3));
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
