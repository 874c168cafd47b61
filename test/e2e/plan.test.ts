import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  type JsonSummary,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { pattern } from './support/hard-tree.ts';

/** Goal: `plan` changes nothing, and `--exact` knows to the byte what the next push sends. */
interface PlanJson extends JsonSummary {
  readonly exact: boolean;
  readonly contentBytesMax: number;
  readonly warnings: readonly { readonly code: string }[];
}

function planOf(result: CliResult): PlanJson {
  return summaryOf(result) as PlanJson;
}

/**
 * Everything below a folder with all attributes of stat, times to the nanosecond, including ctime.
 */
function listing(folder: string): string {
  return execFileSync('find', [folder, '-printf', '%P %y %s %m %U:%G %T@ %C@ %i %l\\n'], {
    maxBuffer: 64 * 1024 * 1024,
  })
    .toString('latin1')
    .split('\n')
    .sort()
    .join('\n');
}

/** Lines of `-i`. */
function items(result: CliResult): string[] {
  return result.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; change?: string; path?: string })
    .filter(({ type }) => type === 'item')
    .map(({ change, path: where }) => `${change ?? ''} ${where ?? ''}`)
    .sort();
}

const LONG = 'a long name '.repeat(18).trim();

function makeSource(root: string): void {
  for (let i = 0; i < 24; i++) {
    const folder = path.join(root, `folder ${i % 4}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `file ${i}`), pattern((i * 7919) % 90_000, i + 1));
  }
  writeFileSync(path.join(root, 'moving 0'), pattern(60_000, 50));
  touch(root, 0);
}

/** An edit that changes neither the size nor the second. */
function touch(root: string, round: number): void {
  const file = path.join(root, 'touched');
  const bytes = pattern(30_000, 60);
  bytes[20_000] = round;
  writeFileSync(file, bytes);
  const time = 1_600_000_000 + round / 10;
  utimesSync(file, time, time);
}

/** Edits of every kind, different in every round. */
function edit(root: string, round: number): void {
  const file = (i: number): string => path.join(root, `folder ${i % 4}`, `file ${i}`);
  for (const i of [1, 2, 3, 4]) {
    const at = (i + 4 * round) % 16;
    const bytes = readFileSync(file(at));
    if (bytes.length > 0) bytes.fill(round + i, Math.floor((bytes.length * i) / 6)).subarray(0, 1);
    bytes[Math.floor(bytes.length / 2)] = round;
    writeFileSync(file(at), bytes);
  }
  const inserted = readFileSync(file(5));
  writeFileSync(file(5), Buffer.concat([Buffer.from(`front ${round}`), inserted]));
  appendFileSync(file(7), pattern(5000, round + 99));
  truncateSync(file(11), Math.max(0, readFileSync(file(11)).length - 4500));
  mkdirSync(path.join(root, `new ${round}`, LONG), { recursive: true });
  writeFileSync(path.join(root, `new ${round}`, LONG, `${LONG} too`), pattern(12_345, round + 7));
  writeFileSync(path.join(root, `${LONG} ${round}`), pattern(300, round));
  renameSync(file(20 + round), path.join(root, `renamed ${round}`));
  rmSync(file(17 + round));
  const moved = path.join(root, `moving ${round}`);
  const [before = ''] = readdirSync(root).filter((name) => name.startsWith('moving '));
  renameSync(path.join(root, before), moved);
  appendFileSync(moved, pattern(100 * round, round));
  touch(root, round);
}

describe.each([
  { name: 'in this process', options: [] as string[] },
  ...[27, 29, 30, 31, 32].map((protocol) => ({
    name: `stock rsync at protocol ${protocol}`,
    options: ['--rsync-path', 'rsync', '--protocol', String(protocol)],
  })),
  { name: 'blocks of 700 bytes', options: ['--rsync-path', 'rsync', '-B', '700'] },
  { name: 'with -c and -H', options: ['-c', '-H'] },
])('--exact, $name', ({ options }) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await makeBench();
    makeSource(bench.source);
    if (options.includes('-H')) {
      const first = path.join(bench.source, 'folder 1', 'file 5');
      execFileSync('ln', [first, path.join(bench.source, 'linked')]);
    }
    await initVault(bench);
  });
  afterAll(() => bench.remove());

  it('equals the pushes that follow', { timeout: 180_000 }, async () => {
    const words = ['-C', bench.source, '--delete', '--json', '--passfile', bench.passfile];
    const run = (command: string, ...more: string[]): Promise<CliResult> =>
      ecsync([command, ...words, ...options, ...more, bench.copy]);
    for (let round = 0; round < 4; round++) {
      if (round > 0) edit(bench.source, round);
      const before = round > 0 ? listing(bench.copy) : '';
      const planned = await run('plan', '--exact');
      expect(planned.code).toBe(0);
      if (round > 0) expect(listing(bench.copy)).toBe(before);
      const pushed = await run('push', '-i');
      expect(pushed.code).toBe(0);
      const { literalBytes, matchedBytes, filesSent, filesDeleted } = summaryOf(pushed);
      expect(literalBytes).toBeGreaterThan(0);
      expect(planOf(planned)).toMatchObject({ exact: true, literalBytes, matchedBytes });
      // Before protocol 29 a server names deletions only in a dry run, so the plan knows more.
      const isTold = !options.includes('27') || filesDeleted > 0;
      expect(planOf(planned)).toMatchObject({ filesSent, ...(isTold && { filesDeleted }) });
      expect(planOf(planned).contentBytesMax).toBeGreaterThanOrEqual(literalBytes);
      if (round === 0) expect(items(planned)).toEqual(items(pushed));
      const nothing = planOf(await run('plan', '--exact'));
      expect(nothing).toMatchObject({ literalBytes: 0, matchedBytes: 0, filesSent: 0 });
    }
  });
});

describe('over ssh', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await makeBench();
    makeSource(bench.source);
    await initVault(bench);
  });
  afterAll(() => bench.remove());

  it.each(['-wo', '-wo -no-del'])(
    'is exact through rrsync %s',
    { timeout: 120_000 },
    async (mode) => {
      const sshd = await startSshd({ forcedCommand: `rrsync ${mode} ${bench.dir}` });
      try {
        const url = `ssh://${sshd.user}@127.0.0.1:${sshd.port}/./copy`;
        const run = (command: string, ...more: string[]): Promise<CliResult> =>
          ecsync(
            [command, '-C', bench.source, '--json', '--passfile', bench.passfile, ...more, url],
            {
              env: { HOME: sshd.home },
            },
          );
        expect((await run('push')).code).toBe(0);
        edit(bench.source, mode.length > 3 ? 2 : 1);
        const before = listing(bench.copy);
        const planned = planOf(await run('plan', '--exact'));
        expect(listing(bench.copy)).toBe(before);
        const { literalBytes, matchedBytes } = summaryOf(await run('push'));
        expect(planned).toMatchObject({ exact: true, literalBytes, matchedBytes });
        expect(planned.bytesSent).toBeLessThan(literalBytes / 4);
      } finally {
        await sshd.stop();
      }
    },
  );

  it('gives an upper limit if the server does not measure', { timeout: 120_000 }, async () => {
    const program = path.join(bench.dir, 'old-rsync');
    const refusal = 'echo "rsync: --only-write-batch=X: unknown option" >&2; exit 1';
    writeFileSync(
      program,
      `#!/bin/sh\ncase "$*" in *only-write-batch*) ${refusal};; esac\nexec rsync "$@"\n`,
    );
    chmodSync(program, 0o755);
    edit(bench.source, 3);
    const words = ['-C', bench.source, '--passfile', bench.passfile, '--rsync-path', program];
    const result = await ecsync(['plan', '--exact', '--json', ...words, bench.copy]);
    expect(result.code).toBe(0);
    const planned = planOf(result);
    expect(planned.exact).toBe(false);
    expect(planned).not.toHaveProperty('literalBytes');
    expect(planned.warnings).toMatchObject([{ code: 'measure-refused' }]);
    const pushed = summaryOf(await ecsync(['push', '--json', ...words, bench.copy]));
    expect(planned.filesSent).toBe(pushed.filesSent);
    expect(planned.contentBytesMax).toBeGreaterThanOrEqual(pushed.literalBytes);
  });
});
