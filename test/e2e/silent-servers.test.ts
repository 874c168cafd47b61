import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningDaemon, startDaemon } from '../support/rsync-daemon.ts';
import {
  type Bench,
  ecsync,
  initVault,
  type JsonSummary,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { fsck } from './support/stock.ts';

// Servers that omit lines, answers or options: their silence is never taken for an answer.

let daemon: RunningDaemon;
beforeAll(async () => {
  daemon = await startDaemon({
    quiet: [],
    mute: ['max verbosity = 0'],
    'no-info': ['refuse options = info'],
  });
});
afterAll(() => daemon.stop());

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source);
  write('changes', 'one');
  write('stays', 'one');
  await initVault(bench);
});
afterEach(async () => {
  await bench.remove();
  for (const module of ['quiet', 'mute', 'no-info']) {
    rmSync(path.join(daemon.folder(module), 'x'), { recursive: true, force: true });
  }
});

let clock = 1_600_000_000;
function write(name: string, content: string): void {
  const file = path.join(bench.source, name);
  writeFileSync(file, content);
  clock += 10;
  utimesSync(file, clock, clock);
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly summary: JsonSummary;
  readonly warnings: readonly string[];
}

async function run(command: string, ...words: readonly string[]): Promise<Result> {
  const all = [command, '-C', bench.source, '--passfile', bench.passfile, '--json', ...words];
  const { code, stdout } = await ecsync(all);
  const summary = summaryOf({ code, stdout, stderr: '', signal: null });
  const { warnings = [] } = summary as unknown as { warnings?: readonly { message: string }[] };
  return { code, stdout, summary, warnings: warnings.map(({ message }) => message) };
}

/** A program that starts rsync with changed arguments. */
function wrapper(script: string): readonly string[] {
  const file = path.join(bench.dir, 'rsync-wrapper');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return ['--rsync-path', file];
}

/** As openrsync: protocol 27, and a dry run that requests and names nothing. */
const OPENRSYNC = `
server="$1"; cluster="$2"; shift 2
case "$server $cluster $*" in
  *only-write-batch*) echo "unknown option --only-write-batch" >&2; exit 1 ;;
  "--server -n"*) set -- --existing --ignore-existing --filter='protect *' "$@" ;;
esac
exec rsync "$server" "$cluster" --protocol=27 "$@"`;

const url = (module: string): string => `rsync://127.0.0.1:${daemon.port}/${module}/x`;
const confOf = (folder: string): string =>
  readFileSync(path.join(folder, 'gocryptfs.conf'), 'utf8');

describe.each(['quiet', 'mute', 'no-info'])('a daemon that suppresses lines (%s)', (module) => {
  it("does not make --append-only take another vault's copy for ours", async () => {
    const other = await makeBench();
    mkdirSync(other.source);
    writeFileSync(path.join(other.source, 'theirs'), 'theirs');
    await initVault(other);
    const theirs = ['push', '-C', other.source, '--passfile', other.passfile, url(module)];
    expect((await ecsync(theirs)).code).toBe(0);
    const copy = path.join(daemon.folder(module), 'x');
    const conf = confOf(copy);
    for (const words of [['--append-only'], []]) {
      const { code, summary } = await run('push', ...words, url(module));
      expect([code, summary.error?.code]).toEqual([10, 'destination-other-vault']);
    }
    expect(confOf(copy)).toBe(conf);
    expect((await fsck(copy, other.passfile)).code).toBe(0);
    await other.remove();
  });

  it('does not hide changes from --append-only', async () => {
    expect((await run('push', '--append-only', url(module))).code).toBe(0);
    expect(await run('push', '--append-only', url(module))).toMatchObject({
      code: 0,
      warnings: [],
    });
    write('changes', 'two');
    write('new', 'new');
    const { code, summary, warnings } = await run('push', '--append-only', url(module));
    expect(code).toBe(23);
    expect(summary).toMatchObject({ filesSent: 1, filesKept: 1 });
    expect(warnings).toEqual(['changes has changed; the copy keeps the older version']);
  });
});

it.each([
  ['rsync: --info=SKIP2: unknown option', 1],
  ['', 0],
])('an rsync that does not know --info is asked in the older way (%j)', async (words, status) => {
  const old = wrapper(
    `case "$*" in *--info*) echo "${words}" >&2; exit ${status} ;; esac\nexec rsync "$@"`,
  );
  expect((await run('push', '--append-only', ...old, bench.copy)).code).toBe(0);
  write('changes', 'two');
  const { code, warnings } = await run('push', '--append-only', ...old, bench.copy);
  expect([code, warnings]).toEqual([23, ['changes has changed; the copy keeps the older version']]);
});

describe('a server that answers no dry runs', () => {
  it('accepts pushes, and is asked to send its files to show whose copy it has', async () => {
    const mute = wrapper(OPENRSYNC);
    expect(await run('push', ...mute, bench.copy)).toMatchObject({ code: 0, warnings: [] });
    write('changes', 'two');
    expect((await run('push', ...mute, bench.copy)).summary.filesSent).toBe(1);
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect((await run('verify', bench.copy)).code).toBe(0);
    // It is recognised without a memory of it.
    rmSync(path.join(bench.source, '.ecsync/index'), { recursive: true });
    expect((await run('push', ...mute, bench.copy)).code).toBe(0);
    const conf = confOf(bench.copy);
    await initOver(bench);
    const { code, summary } = await run('push', ...mute, bench.copy);
    expect([code, summary.error?.code]).toEqual([10, 'destination-other-vault']);
    expect(confOf(bench.copy)).toBe(conf);
  });

  it('is not trusted by commands that only ask or that delete: they fail with this reason', async () => {
    expect((await run('push', bench.copy)).code).toBe(0);
    write('changes', 'two');
    rmSync(path.join(bench.source, 'stays'));
    const mute = wrapper(OPENRSYNC);
    for (const words of [
      ['plan'],
      ['plan', '--exact'],
      ['push', '-n'],
      ['push', '--append-only'],
      ['push', '--delete'],
      ['push', '--max-changed', '0'],
      ['verify'],
      ['verify', '--repair'],
    ]) {
      const [command = '', ...options] = words;
      const { code, summary } = await run(command, ...options, ...mute, bench.copy);
      expect([words.join(' '), code, summary.error?.code]).toEqual([
        words.join(' '),
        5,
        'answers-withheld',
      ]);
      expect(summary.error?.hint).toContain('Install rsync 3');
    }
  });

  it('does not accept a first push if its files cannot be read', async () => {
    const blind = `case "$*" in *--sender*) echo "not allowed" >&2; exit 1 ;; esac`;
    const { code, summary } = await run('push', ...wrapper(blind + OPENRSYNC), bench.copy);
    expect([code, summary.error?.code]).toEqual([5, 'answers-withheld']);
  });
});

describe('a server that drops -D', () => {
  const DROPS = `server="$1"; cluster="$2"; shift 2
exec rsync "$server" "$cluster" --no-D "$@"`;

  it('does not hide that pipes are not stored: push and verify name them', async () => {
    execFileSync('mkfifo', [path.join(bench.source, 'pipe')]);
    const drops = wrapper(DROPS);
    for (const time of ['first', 'again']) {
      const { code, warnings } = await run('push', ...drops, bench.copy);
      expect([time, code, warnings.length]).toEqual([time, 23, 1]);
      expect(warnings[0]).toContain('pipe was not stored');
    }
    expect((await run('push', '-n', ...drops, bench.copy)).warnings).toHaveLength(1);
    const { code, stdout } = await run('verify', ...drops, bench.copy);
    expect(code).toBe(26);
    const findings = stdout.split('\n').filter((line) => line.includes('"missing"'));
    expect(JSON.parse(findings[0] ?? '')).toMatchObject({ kind: 'missing', path: 'pipe' });
    // A server that stores them repairs it, and existing ones are not called missing afterwards.
    expect((await run('push', bench.copy)).code).toBe(0);
    expect((await run('push', ...drops, bench.copy)).code).toBe(0);
    const there = await run('verify', ...drops, bench.copy);
    expect([there.code, there.warnings.length]).toEqual([0, 1]);
    expect(there.warnings[0]).toContain('1 that are there were not compared');
  });
});

describe('a server that does not name what it would delete', () => {
  const SILENT = `server="$1"; cluster="$2"; shift 2
case "$server $cluster" in "--server -n"*) set -- --filter='protect *' "$@" ;; esac
exec rsync "$server" "$cluster" "$@"`;

  it('is not allowed to delete, and verify reports that it did not look for extra files', async () => {
    const silent = wrapper(SILENT);
    expect((await run('push', ...silent, bench.copy)).code).toBe(0);
    rmSync(path.join(bench.source, 'stays'));
    const { code, summary } = await run('push', '--delete', ...silent, bench.copy);
    expect([code, summary.error?.code]).toEqual([5, 'answers-withheld']);
    const { warnings } = await run('verify', ...silent, bench.copy);
    expect(warnings.join()).toContain('what the copy has beyond the vault was not looked for');
    expect((await run('push', '--delete', bench.copy)).summary.filesDeleted).toBe(1);
  });
});

it('a key that may only add and an rsync that suppresses lines: changed files are named as uncertain', async () => {
  const adds = wrapper(
    `case "$*" in *--info*) exit 1 ;; esac
server="$1"; cluster="$2"; shift 2
exec rsync "$server" "$cluster" --ignore-existing "$@"`,
  );
  expect((await run('push', '--append-only', ...adds, bench.copy)).code).toBe(0);
  write('changes', 'two');
  write('new', 'new');
  const { code, summary, warnings } = await run('push', '--append-only', ...adds, bench.copy);
  expect([code, summary.filesSent]).toEqual([23, 1]);
  expect(warnings.join()).toContain('changes has changed; the server does not tell');
  await initOver(bench);
  const other = await run('push', '--append-only', ...adds, bench.copy);
  expect([other.code, other.summary.error?.code]).toEqual([5, 'comparison-withheld']);
});

/** Makes the bench's source another vault. */
async function initOver(one: Bench): Promise<void> {
  rmSync(path.join(one.source, '.ecsync'), { recursive: true });
  await initVault(one);
}
