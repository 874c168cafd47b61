import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { authorizedLine } from '../../src/cli/vault/setup-server.ts';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import {
  type Bench,
  type CliResult,
  ecsync,
  initVault,
  makeBench,
  summaryOf,
} from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeBusyTree } from './support/hard-tree.ts';
import { fsck, withMount } from './support/stock.ts';

// `push --append-only`, at servers that would allow more and at servers that would not.

const LONG = 'l'.repeat(200);
const SEC_OLD = 1_600_000_000;
const SEC_NEW = 1_700_000_000;

let sshd: RunningSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());

let bench: Bench;
beforeEach(async () => {
  bench = await makeBench();
  mkdirSync(bench.copy);
  const key = readFileSync(`${sshd.keyFile}.pub`, 'utf8').trim();
  writeFileSync(sshd.authorizedKeysFile, `${key}\n`);
});
afterEach(() => bench.remove());

/** From now on the login may only add. */
async function limitKey(): Promise<void> {
  const key = readFileSync(`${sshd.keyFile}.pub`, 'utf8').trim();
  const line = await authorizedLine({ path: bench.copy }, key, true);
  writeFileSync(sshd.authorizedKeysFile, `${line}\n`);
}

const address = (): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}`;

const WAYS = {
  'a local folder': () => [bench.copy],
  'a stock rsync': () => ['--rsync-path', 'rsync', bench.copy],
  'protocol 29': () => ['--rsync-path', 'rsync', '--protocol', '29', bench.copy],
  'a key that may only add': async () => {
    await limitKey();
    return [`${address()}/./.`];
  },
} as const;

function push(...words: readonly string[]): Promise<CliResult> {
  const all = ['push', '-C', bench.source, '--passfile', bench.passfile, '--json', ...words];
  return ecsync(all, { env: { HOME: sshd.home } });
}

function write(name: string, content: string, sec = SEC_NEW): void {
  const file = path.join(bench.source, name);
  writeFileSync(file, content);
  utimesSync(file, sec, sec);
}

/** Content and name of every file, without our own temporary files. */
function contents(): string[] {
  return execFileSync(
    'sh',
    ['-c', 'find . -type f ! -path "./gocryptfs.longname.ecsync-*" | xargs sha256sum | sort'],
    { cwd: bench.copy, encoding: 'utf8' },
  ).split('\n');
}

const warningsOf = (result: CliResult): string[] =>
  (summaryOf(result) as unknown as { warnings: { message: string }[] }).warnings.map(
    ({ message }) => message,
  );

describe.each(Object.entries(WAYS))('push --append-only to %s', (_name, way) => {
  it(
    'adds new files, keeps existing ones, and reports changed ones',
    { timeout: 120_000 },
    async () => {
      mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
      mkdirSync(path.join(bench.source, 'becomes-file'));
      for (const name of [
        'same',
        'changed',
        'moves',
        'gone',
        'becomes-file/in',
        'becomes-folder',
      ]) {
        write(name, 'one', SEC_OLD);
      }
      write(LONG, 'one', SEC_OLD);
      symlinkSync('one', path.join(bench.source, 'link'));
      await initVault(bench);
      const words = ['--append-only', ...(await way())];
      expect(await push(...words)).toMatchObject({ code: 0, stderr: '' });
      expect(await push(...words)).toMatchObject({ code: 0, stderr: '' });
      const before = contents();

      write('changed', 'two');
      write(LONG, 'two');
      write('new', 'new');
      write('folder/new', 'new');
      renameSync(path.join(bench.source, 'moves'), path.join(bench.source, 'folder/moved'));
      for (const name of ['gone', 'link', 'becomes-file', 'becomes-folder']) {
        rmSync(path.join(bench.source, name), { recursive: true });
      }
      symlinkSync('two', path.join(bench.source, 'link'));
      write('becomes-file', 'file');
      mkdirSync(path.join(bench.source, 'becomes-folder'));
      write('becomes-folder/in', 'in');
      mkdirSync(path.join(bench.source, `new ${LONG}`));
      write(`new ${LONG}/in`, 'in');
      const result = await push(...words);
      expect(result.code).toBe(23);
      const summary = summaryOf(result);
      expect(summary).toMatchObject({ filesKept: 6, filesDeleted: 0, error: { code: 'kept' } });
      expect(summary.error?.message).toContain('6 files');
      expect(warningsOf(result).sort()).toEqual([
        'becomes-file has changed; the copy keeps the older version',
        'becomes-folder/ is no folder in the copy, which keeps what it has; nothing in it was sent',
        'changed has changed; the copy keeps the older version',
        'link has changed; the copy keeps the older version',
        `${LONG} has changed; the copy keeps the older version`,
      ]);
      const after = contents();
      expect(before.filter((line) => !after.includes(line))).toEqual([]);
      expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
      const read = (name: string): string => readFileSync(name, 'utf8');
      await withMount(bench.copy, bench.passfile, (mount) => {
        expect(read(path.join(mount, 'changed'))).toBe('one');
        expect(read(path.join(mount, 'gone'))).toBe('one');
        expect(read(path.join(mount, 'moves'))).toBe('one');
        expect(read(path.join(mount, 'folder/moved'))).toBe('one');
        expect(read(path.join(mount, 'becomes-file/in'))).toBe('one');
        expect(read(path.join(mount, `new ${LONG}/in`))).toBe('in');
        return Promise.resolve();
      });
      // It is remembered, and nothing else is reported.
      const again = await push(...words);
      expect(summaryOf(again)).toMatchObject({ exitCode: 23, filesSent: 0, filesKept: 6 });
    },
  );

  it(
    'notices an edit that keeps size and second, and an older conf',
    { timeout: 120_000 },
    async () => {
      mkdirSync(bench.source);
      const sec = Math.floor(Date.now() / 1000) + 60;
      write('racy', 'one', sec);
      await initVault(bench);
      const words = ['--append-only', ...(await way())];
      expect((await push(...words)).code).toBe(0);
      write('racy', 'two', sec);
      const result = await push(...words);
      expect(warningsOf(result)).toEqual(['racy has changed; the copy keeps the older version']);
      // It is still remembered.
      expect(summaryOf(await push(...words))).toMatchObject({ exitCode: 23, filesKept: 1 });

      const fresh = path.join(bench.dir, 'fresh');
      writeFileSync(fresh, 'another password\n', { mode: 0o600 });
      const cheap = ['--scryptn', '10'];
      const passwd = ['key', 'passwd', '-C', bench.source, '--new-passfile', fresh, ...cheap];
      expect((await ecsync([...passwd, '--passfile', bench.passfile])).code).toBe(0);
      const all = ['push', '-C', bench.source, '--passfile', fresh, '--json', ...words];
      const changed = await ecsync(all, { env: { HOME: sshd.home } });
      expect(changed.code).toBe(23);
      expect(warningsOf(changed).join('\n')).toContain('gocryptfs.conf has changed');
      expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    },
  );
});

it(
  'a killed append-only push leaves a clean copy, and the next one completes it',
  { timeout: 240_000 },
  async () => {
    makeBusyTree(bench.source, 40, 8);
    await initVault(bench);
    await limitKey();
    const words = ['--append-only', `${address()}/./.`];
    for (const ms of [700, 1000, 1300, 1600, 2000]) {
      const all = ['push', '-C', bench.source, '--passfile', bench.passfile, ...words];
      await ecsync(all, {
        env: { HOME: sshd.home },
        onStart: (child) => {
          setTimeout(() => child.kill('SIGKILL'), ms);
        },
      });
      await sleep(300);
      if (contents().some((line) => line.endsWith('/gocryptfs.conf'))) {
        expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
      }
    }
    expect(await push(...words)).toMatchObject({ code: 0, stderr: '' });
    expect((await fsck(bench.copy, bench.passfile)).code).toBe(0);
    const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
      Promise.resolve(differences(bench.source, mountpoint, { ignore: ['.ecsync'] })),
    );
    expect(found).toEqual([]);
  },
);

it('a push that does not know that its key may only add reports what it could not do', async () => {
  mkdirSync(bench.source);
  write('file', 'one', SEC_OLD);
  await initVault(bench);
  await limitKey();
  const url = `${address()}/./.`;
  expect((await push(url)).code).toBe(0);
  write('file', 'two');
  for (const time of ['first', 'again']) {
    const result = await push(url);
    expect(summaryOf(result), time).toMatchObject({
      exitCode: 23,
      filesKept: 1,
      error: { code: 'updates-ignored' },
    });
    expect(warningsOf(result)).toEqual(['file has changed; the copy keeps the older version']);
  }
  const deleting = await push('--delete', url);
  expect(summaryOf(deleting)).toMatchObject({ exitCode: 5, error: { code: 'delete-forbidden' } });
});

it("a key that may only add does not add to another vault's copy", async () => {
  mkdirSync(bench.source);
  write('file', 'one');
  await initVault(bench);
  const other = await makeBench();
  mkdirSync(other.source);
  writeFileSync(path.join(other.source, 'theirs'), 'theirs');
  await initVault(other);
  const theirs = ['push', '-C', other.source, '--passfile', other.passfile, bench.copy];
  expect((await ecsync(theirs)).code).toBe(0);
  const before = contents();
  await limitKey();
  const result = await push('--append-only', `${address()}/./.`);
  expect(summaryOf(result)).toMatchObject({ exitCode: 10 });
  expect(contents()).toEqual(before);
  await other.remove();
});

describe('with --delete', () => {
  it('is a contradiction, unless the deletion comes from the configuration', async () => {
    mkdirSync(bench.source);
    write('gone', 'one');
    await initVault(bench);
    expect((await push('--append-only', '--delete', bench.copy)).code).toBe(2);
    const config = path.join(bench.source, '.ecsync/config.toml');
    appendFileSync(config, '\n[push]\ndelete = true\n');
    const before = await push('--append-only', bench.copy);
    expect(before.code).toBe(0);
    const there = contents();
    rmSync(path.join(bench.source, 'gone'));
    expect((await push('--append-only', bench.copy)).code).toBe(0);
    expect(contents()).toEqual(there);
    appendFileSync(config, 'append_only = true\n');
    expect((await push(bench.copy)).stderr).toContain('exclude each other');
    expect((await push('--no-delete', bench.copy)).code).toBe(0);
    expect(contents()).toEqual(there);
    const repair = ['verify', '-C', bench.source, '--passfile', bench.passfile, '--no-delete'];
    expect((await ecsync([...repair, '--repair', bench.copy])).code).toBe(2);
  });
});
