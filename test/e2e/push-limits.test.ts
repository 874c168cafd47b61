import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { pattern } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

// Limits of a push, and what it only does on an explicit request.

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.source);
});
afterEach(() => bench.remove());

function push(...words: readonly string[]): Promise<CliResult> {
  return ecsync(['push', '-C', bench.source, '--passfile', bench.passfile, '--json', ...words]);
}

function write(name: string, content: string | Uint8Array, sec = 1_600_000_000): void {
  const file = path.join(bench.source, name);
  writeFileSync(file, content);
  utimesSync(file, sec, sec);
}

async function expectEqualCopy(copy = bench.copy): Promise<void> {
  expect((await fsck(copy, bench.passfile)).code).toBe(0);
  const found = await withMount(copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'] })),
  );
  expect(found).toEqual([]);
}

/** The copy as bytes and times. */
const state = (): string =>
  execFileSync('sh', ['-c', 'find . -printf "%p %T@ %s\\n" | sort'], {
    cwd: bench.copy,
  }).toString();

describe('--max-changed', () => {
  const names = (count: number): string[] =>
    Array.from({ length: count }, (_one, n) => `file ${n}`);

  it(
    'stops a push that would replace most of the copy, before it changes or deletes anything',
    { timeout: 120_000 },
    async () => {
      const all = names(600);
      for (const name of all) write(name, name);
      await initVault(bench);
      expect(await push(bench.copy)).toMatchObject({ code: 0, stderr: '' });
      const before = state();
      // Other times, and equal content.
      for (const name of all) write(name, name, 1_650_000_000);
      write('file 0', 'edited', 1_650_000_000);
      expect(summaryOf(await push('-n', bench.copy))).toMatchObject({
        exitCode: 0,
        filesDeleted: 0,
      });
      expect(summaryOf(await push(bench.copy))).toMatchObject({ exitCode: 0 });
      const touched = state();
      expect(touched).not.toBe(before);
      for (const name of all.slice(1)) write(name, `scrambled ${name}`, 1_700_000_000);
      rmSync(path.join(bench.source, 'file 0'));
      write('ransom note', 'pay');
      for (const words of [[], ['--delete'], ['-n'], ['--max-changed', '3']]) {
        const result = await push(...words, bench.copy);
        expect(result.code).toBe(25);
        expect(summaryOf(result).error).toMatchObject({ code: 'change-limit' });
        expect(summaryOf(result).error?.message).toContain('599 of 600 files');
        expect(state()).toBe(touched);
      }
      const plan = ['plan', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
      expect((await ecsync(plan)).code).toBe(25);
      // Without its memory it asks the server.
      rmSync(path.join(bench.source, '.ecsync/index'), { recursive: true });
      expect((await push(bench.copy)).code).toBe(25);
      expect(state()).toBe(touched);
      // At another destination there is nothing to lose.
      const other = path.join(bench.dir, 'other');
      expect((await push(other)).code).toBe(0);
      expect((await push('--max-changed', '100%', '--delete', bench.copy)).code).toBe(0);
      await expectEqualCopy();
      const again = await push(bench.copy);
      expect(summaryOf(again)).toMatchObject({ exitCode: 0, filesSent: 0 });
    },
  );

  it('takes a number or a percentage, and does not limit repairs', async () => {
    for (const name of names(20)) write(name, name);
    await initVault(bench);
    expect((await push(bench.copy)).code).toBe(0);
    for (const name of names(5)) write(name, `edited ${name}`, 1_700_000_000);
    expect((await push('--max-changed', '4', bench.copy)).code).toBe(25);
    expect((await push('--max-changed', '20%', bench.copy)).code).toBe(25);
    expect(
      (await push('--max-changed', '4', bench.copy, path.join(bench.source, 'file 1'))).code,
    ).toBe(0);
    const asked = await push('--max-changed', '4', bench.copy);
    expect(asked.code, 'one of them is there already').toBe(0);
    execFileSync('sh', ['-c', 'for f in [!g]*; do printf x >> "$f"; done'], { cwd: bench.copy });
    const verify = ['verify', '-C', bench.source, '--passfile', bench.passfile, bench.copy];
    expect((await ecsync([...verify, '--repair', '--max-changed', '0'])).code).toBe(0);
    await expectEqualCopy();
  });

  it('guards a copy in layout reverse, which remembers no renames', async () => {
    const init = ['init', bench.source, '--layout', 'reverse', '--scryptn', '10'];
    for (const name of names(10)) write(name, name);
    expect((await ecsync([...init, '--passfile', bench.passfile])).code).toBe(0);
    expect((await push(bench.copy)).code).toBe(0);
    for (const name of names(6)) write(name, `edited ${name}`, 1_700_000_000);
    expect((await push('--max-changed', '50%', bench.copy)).code).toBe(25);
    expect((await push('--max-changed', '6', bench.copy)).code).toBe(0);
  });
});

describe('--max-bytes', () => {
  it.each([[], ['--rsync-path', 'rsync'], ['--rsync-path', 'rsync', '--protocol', '29']])(
    'stops after about that much, leaves a clean copy, and continues (%s %s %s %s)',
    { timeout: 120_000 },
    async (...way) => {
      for (let n = 0; n < 10; n++) write(`file ${n}`, pattern(300_000, n));
      write('moved', pattern(300_000, 77));
      await initVault(bench);
      const words = [...way, '--delete', '--max-bytes', '1M', bench.copy];
      const first = await push(...words, '--top', '2');
      expect(summaryOf(first)).toMatchObject({
        exitCode: 75,
        filesSent: 4,
        error: { code: 'max-bytes' },
      });
      expect(summaryOf(first)).toMatchObject({ largest: [{ bytes: 302_386 }, { bytes: 302_386 }] });
      expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
      // Deleted files stay until everything else is stored.
      rmSync(path.join(bench.source, 'file 0'));
      rmSync(path.join(bench.source, 'file 9'));
      renameSync(path.join(bench.source, 'moved'), path.join(bench.source, 'moved again'));
      const codes: number[] = [];
      for (let n = 0; n < 3; n++) {
        const { exitCode, filesDeleted, filesSent } = summaryOf(await push(...words));
        codes.push(exitCode);
        if (exitCode === 75)
          expect({ filesDeleted, filesSent }).toEqual({ filesDeleted: 0, filesSent: 4 });
        expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
      }
      expect(codes).toEqual([75, 0, 0]);
      await expectEqualCopy();
    },
  );

  it('does not lose an edit that did not fit', async () => {
    const sec = Math.floor(Date.now() / 1000) + 60;
    write('a', pattern(50_000, 1));
    write('racy', 'one', sec);
    await initVault(bench);
    expect((await push(bench.copy)).code).toBe(0);
    write('a', pattern(50_000, 2), sec);
    write('racy', 'two', sec);
    expect((await push('--max-bytes', '1K', bench.copy)).code).toBe(75);
    expect((await push('--max-bytes', '1K', bench.copy)).code).toBe(0);
    await expectEqualCopy();
  });
});

describe('a full destination', () => {
  it.each([[[]], [['--rsync-path', 'rsync']]])(
    'gets due deletions first if there is no room otherwise %j',
    { timeout: 120_000 },
    async (way) => {
      const small = path.join(bench.dir, 'small');
      const copy = path.join(small, 'copy');
      mkdirSync(small);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', small]);
      try {
        mkdirSync(path.join(bench.source, 'old'));
        write('old/large', pattern(4_000_000, 1));
        write('kept', pattern(100_000, 2));
        await initVault(bench);
        expect((await push(...way, copy)).code).toBe(0);
        rmSync(path.join(bench.source, 'old'), { recursive: true });
        mkdirSync(path.join(bench.source, 'new'));
        write('new/large', pattern(4_000_000, 3));
        const limited = await push(...way, '--delete', '--max-delete', '0', copy);
        expect(limited.code).toBe(23);
        expect(existsSync(path.join(copy, 'gocryptfs.conf'))).toBe(true);
        expect((await fsck(copy, bench.passfile)).code).toBe(0);
        const before = summaryOf(await push(...way, copy));
        expect(before).toMatchObject({ exitCode: 23, error: { code: 'remote-disk-full' } });
        // The message shows the plaintext path of the file.
        expect(before.error?.message).toMatch(/^the destination has no space left \(.*new\/large/);
        expect(before.error?.message).not.toMatch(/[A-Za-z0-9_-]{22}/);
        const result = await push(...way, '--delete', copy);
        expect(summaryOf(result)).toMatchObject({ exitCode: 0, filesDeleted: 2 });
        expect(result.stderr).toContain('to make room');
        await expectEqualCopy(copy);
        // If no deletions are due, the push fails as before.
        write('larger', pattern(4_000_000, 4));
        const full = await push(...way, '--delete', copy);
        expect(summaryOf(full)).toMatchObject({ exitCode: 23, filesDeleted: 0 });
        expect((await fsck(copy, bench.passfile)).code).toBe(0);
        expect(readFileSync(path.join(copy, 'gocryptfs.conf')).length).toBeGreaterThan(0);
      } finally {
        execFileSync('umount', [small]);
      }
    },
  );
});

describe('--delete-excluded', () => {
  /** The plaintext names in a copy. */
  const shown = (): Promise<string[]> =>
    withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(execFileSync('sh', ['-c', 'find . | sort'], { cwd: mountpoint }).toString()),
    ).then((text) => text.trim().split('\n').slice(1));

  it('deletes what is left out now, as stock rsync does, and counts that against the limit', async () => {
    await initVault(bench);
    const long = 'l'.repeat(200);
    for (const folder of ['docs', long]) mkdirSync(path.join(bench.source, folder));
    for (const name of ['one.tmp', 'two', 'docs/three.tmp', 'docs/four', `${long}/five.tmp`]) {
      write(name, name);
    }
    expect(summaryOf(await push(bench.copy))).toMatchObject({ exitCode: 0 });
    const rules = ['--exclude', '*.tmp', '--exclude', `/${long}`];
    expect(summaryOf(await push(...rules, '--delete', bench.copy)).filesDeleted).toBe(0);
    const limited = await push(...rules, '--delete-excluded', '--max-delete', '1', bench.copy);
    expect(limited.code).toBe(25);
    const plain = path.join(bench.dir, 'plain');
    const rsync = (...words: readonly string[]): Buffer =>
      execFileSync('rsync', ['-a', '--exclude', '/.ecsync', ...words, `${bench.source}/`, plain]);
    rsync();
    rsync(...rules, '--delete-excluded');
    const all = ['--max-delete', '100%', bench.copy];
    const deleted = summaryOf(await push(...rules, '--delete-excluded', ...all));
    expect(deleted).toMatchObject({ exitCode: 0, filesDeleted: 4 });
    const expected = execFileSync('sh', ['-c', 'find . | sort'], { cwd: plain }).toString();
    expect(await shown()).toEqual(expected.trim().split('\n').slice(1));
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect(summaryOf(await push(bench.copy))).toMatchObject({ exitCode: 0, filesSent: 3 });
    await expectEqualCopy();
  });

  it('is a deletion, which --append-only refuses', async () => {
    await initVault(bench);
    const result = await push('--delete-excluded', '--append-only', bench.copy);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('exclude each other');
  });
});

describe('a path that has gone', () => {
  it('is deleted alone when it is named, with --delete', async () => {
    await initVault(bench);
    mkdirSync(path.join(bench.source, 'docs'));
    for (const name of ['stays', 'gone', 'other', 'docs/inside']) write(name, name);
    expect((await push(bench.copy)).code).toBe(0);
    for (const name of ['gone', 'other', 'docs']) {
      rmSync(path.join(bench.source, name), { recursive: true });
    }
    const named = ['gone', 'docs'].map((name) => path.join(bench.source, name));
    const result = await push('--delete', bench.copy, ...named);
    expect(summaryOf(result)).toMatchObject({ exitCode: 0, filesDeleted: 3 });
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    expect(summaryOf(await push('--delete', bench.copy)).filesDeleted).toBe(1);
    await expectEqualCopy();
  });
});
