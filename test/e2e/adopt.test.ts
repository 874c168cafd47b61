// Goal: a copy made by stock gocryptfs and stock rsync, through a reverse or a forward mount, is
// continued without sending it again, and stock still opens it.
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { untilSettled } from '../support/settled.ts';
import { type Bench, ecsync, makeBench, summaryOf, type CliResult } from './support/cli.ts';
import { differences } from './support/compare.ts';
import { makeHardTree, pattern } from './support/hard-tree.ts';
import { makeOldCopy, shiftVirtualTimes, type OldSetup } from './support/stock-copies.ts';
import { fsck, withMount } from './support/stock.ts';

const KILL_HOOK = pathToFileURL(path.resolve('test/support/kill-at.mjs')).href;

let bench: Bench;
let sshd: RunningSshd;
beforeEach(async () => {
  bench = await makeBench();
  sshd = await startSshd();
});
afterEach(async () => {
  await sshd.stop();
  await bench.remove();
});

const inSource = (...parts: readonly string[]): string => path.join(bench.source, ...parts);

function remoteOf(way: 'ssh' | 'local'): string {
  return way === 'local' ? bench.copy : `ssh://${sshd.user}@127.0.0.1:${sshd.port}${bench.copy}`;
}

function run(...words: readonly string[]): Promise<CliResult> {
  return ecsync([...words, '--passfile', bench.passfile], { env: { HOME: sshd.home } });
}

function events(result: CliResult): { type: string; [key: string]: unknown }[] {
  return result.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string });
}

/** Pushes everything, and expects that it is stored already. */
async function expectNothingToPush(): Promise<void> {
  const result = await run('push', '-C', bench.source, '-i', '--delete', '--json');
  expect(result.stderr).toBe('');
  expect(events(result).filter(({ type }) => type !== 'summary')).toEqual([]);
  expect(summaryOf(result)).toMatchObject({
    exitCode: 0,
    filesSent: 0,
    filesDeleted: 0,
    literalBytes: 0,
  });
}

/** Problems of the copy according to stock, and differences between its mount and the source. */
async function problemsOfCopy(way: 'ssh' | 'local' = 'ssh'): Promise<readonly string[]> {
  const report = await fsck(bench.copy, bench.passfile);
  // In-process, times are stored to the microsecond.
  const options = { ignore: ['.ecsync', '.gocryptfs.reverse.conf'], nanoseconds: way === 'ssh' };
  const found = await withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(differences(bench.source, mountpoint, options)),
  );
  // With plaintext names stock shows the temporary directory, which is empty.
  const left = found.filter((line) => line !== '"": extra "gocryptfs.longname.ecsync-tmp.name"');
  return report.code === 0 ? left : [`fsck ${report.code}: ${report.text}`, ...left];
}

/** Overwrites one byte in the middle of a file. */
function touchByte(file: string, value: string): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, Buffer.from(value), 0, 1, 600_000);
  closeSync(fd);
}

interface Case extends OldSetup {
  readonly name: string;
  readonly way: 'ssh' | 'local';
  readonly shifted?: boolean;
}

const CASES: readonly Case[] = [
  { name: 'reverse', kind: 'reverse', way: 'ssh', words: [] },
  { name: 'reverse, from 2.5 on', kind: 'reverse', way: 'ssh', words: [], shifted: true },
  { name: 'reverse, a local folder', kind: 'reverse', way: 'local', words: [] },
  ...[
    ['reverse, deterministic names', '-deterministic-names'],
    ['reverse, plaintext names', '-plaintextnames'],
    ['reverse, short names', '-longnamemax=100'],
  ].map(([name = '', word = '']): Case => ({ name, kind: 'reverse', way: 'ssh', words: [word] })),
  { name: 'mount', kind: 'forward', way: 'ssh', words: [] },
  { name: 'mount, a local folder', kind: 'forward', way: 'local', words: [] },
  ...[
    ['mount, AES-SIV', '-aessiv'],
    ['mount, XChaCha20', '-xchacha'],
    ['mount, deterministic names', '-deterministic-names'],
    ['mount, plaintext names', '-plaintextnames'],
    ['mount, short names', '-longnamemax=100'],
    ['mount, before HKDF', '-hkdf=false'],
    ['mount, padded names', '-raw64=false'],
  ].map(([name = '', word = '']): Case => ({ name, kind: 'forward', way: 'ssh', words: [word] })),
];

describe.each(CASES)('a copy made by a $name', { timeout: 180_000 }, (setup) => {
  it('is continued: first nothing is sent, then only changes, and stock opens it', async () => {
    makeHardTree(bench.source);
    const isPlain = setup.words.includes('-plaintextnames');
    if (isPlain) rmSync(inSource('gocryptfs.conf'));
    await makeOldCopy(bench, setup);
    if (setup.shifted === true) shiftVirtualTimes(bench.copy);
    await untilSettled();

    // Only for the conf of a mount does nothing else confirm unusual names.
    const unusual = setup.words.filter((word) => /plaintext|deterministic|longnamemax/.test(word));
    const told = setup.kind === 'reverse' ? [] : unusual.map((word) => `-${word}`);
    const adopted = await run('adopt', remoteOf(setup.way), bench.source, '--json', ...told);
    expect(adopted.stderr).not.toContain('warning');
    expect(events(adopted).filter(({ type }) => type !== 'summary')).toEqual([]);
    const isReverse = setup.kind === 'reverse';
    expect(summaryOf(adopted)).toMatchObject({
      exitCode: 0,
      layout: isReverse ? 'reverse' : 'keyed',
      ...(isReverse && !isPlain && setup.words.length === 0
        ? { timeShiftSec: setup.shifted === true ? 10 : 0 }
        : {}),
      confInSource: isReverse,
      ...{ differing: 0, missing: 0, extra: 0, filesToSend: 0, damaged: 0 },
    });
    await expectNothingToPush();

    touchByte(inSource('sizes', '1048576'), 'x');
    writeFileSync(inSource('new file'), pattern(3000, 77));
    mkdirSync(inSource('new folder', 'N'.repeat(200)), { recursive: true });
    writeFileSync(inSource('new folder', 'N'.repeat(200), 'L'.repeat(180)), 'long');
    renameSync(inSource('sizes', '4097'), inSource('sizes', 'renamed'));
    rmSync(inSource('names', 'n'.repeat(255)));
    rmSync(inSource('deep', 'level 0', 'file'));
    await untilSettled();
    const pushed = await run('push', '-C', bench.source, '--delete', '--json');
    expect(pushed.stderr).toBe('');
    const { literalBytes, filesSent, filesDeleted } = summaryOf(pushed);
    // Where identities do not follow from paths, the renamed file is linked, unless it is so new
    // that it is sent to be safe.
    expect(filesDeleted).toBe(isReverse ? 3 : 2);
    expect(isReverse ? [4] : [3, 4]).toContain(filesSent);
    if (isReverse) expect(literalBytes).toBeLessThan(25_000);
    else expect(literalBytes).toBeGreaterThan(1_000_000);
    expect(await problemsOfCopy(setup.way)).toEqual([]);
    expect(existsSync(inSource('.ecsync', 'adopted'))).toBe(!isReverse);
    if (setup.words.length > 0) return;

    touchByte(inSource('sizes', '1048576'), 'y');
    await untilSettled();
    const again = await run('push', '-C', bench.source, '--delete', '--json');
    expect(summaryOf(again)).toMatchObject({ exitCode: 0, filesSent: 1, filesDeleted: 0 });
    expect(summaryOf(again).literalBytes).toBeLessThan(10_000);
    await expectNothingToPush();
    expect(await problemsOfCopy(setup.way)).toEqual([]);
  });
});

describe('what differs', { timeout: 60_000 }, () => {
  it('is counted, and a dry run makes nothing', async () => {
    mkdirSync(inSource('folder'), { recursive: true });
    for (const name of ['same', 'folder/changed', 'gone']) writeFileSync(inSource(name), name);
    await makeOldCopy(bench, { kind: 'forward', words: [] });
    writeFileSync(inSource('folder', 'changed'), 'x'.repeat(500));
    writeFileSync(inSource('fresh'), 'y'.repeat(50));
    rmSync(inSource('gone'));
    const words = ['adopt', remoteOf('ssh'), bench.source, '--json'];
    const figures = { filesToSend: 2, bytesToSend: 550, missing: 1, extra: 1, exitCode: 0 };
    const dry = await run(...words, '-n');
    expect(summaryOf(dry)).toMatchObject(figures);
    expect(existsSync(inSource('.ecsync'))).toBe(false);
    const made = await run(...words, '--name', 'nas');
    expect(summaryOf(made)).toMatchObject({ ...figures, name: 'nas' });
    const listed = await ecsync(['remote', 'list', '-C', bench.source]);
    expect(listed.stdout).toBe(`nas\t${remoteOf('ssh')}\n`);
    const pushed = await run('push', 'nas', '-C', bench.source, '--delete', '--json');
    expect(summaryOf(pushed)).toMatchObject({ exitCode: 0, filesSent: 2, filesDeleted: 1 });
    expect(await problemsOfCopy()).toEqual([]);
  });
});

describe('verify of a copy that was written through a mount', { timeout: 60_000 }, () => {
  it('says why whole files count as changed; a repair sends them once', async () => {
    await makeSmall({ kind: 'forward', words: [] });
    await untilSettled();
    expect((await run('adopt', remoteOf('ssh'), bench.source, '--json')).code).toBe(0);
    const verified = await run('verify', '-C', bench.source, '--json');
    const { exitCode, error } = summaryOf(verified);
    expect([exitCode, error?.code]).toEqual([26, 'copy-differs']);
    expect(error?.hint).toContain('through a mount');
    expect((await run('fsck', '-C', bench.source)).code).toBe(0);
    expect((await run('verify', '-C', bench.source, '--repair')).code).toBe(0);
    expect((await run('verify', '-C', bench.source)).code).toBe(0);
    expect(await problemsOfCopy()).toEqual([]);
  });

  it.each([
    ['-plaintextnames', 'written by gocryptfs -reverse, AES-SIV'],
    ['-aessiv', 'written by gocryptfs -reverse (before 2.5), AES-SIV'],
  ])('and a reverse one tells its release where that is seen: %s', async (word, said) => {
    await makeSmall({ kind: 'reverse', words: [word] });
    const adopted = await run('adopt', remoteOf('ssh'), bench.source);
    expect(adopted.stderr).toContain(said);
  });
});

/** A small source with long names, and its old copy. */
async function makeSmall(setup: OldSetup): Promise<void> {
  for (const folder of ['one', 'two', `one/${LONG}`]) {
    mkdirSync(inSource(folder), { recursive: true });
    for (const name of ['a', 'b']) writeFileSync(inSource(folder, name), `${folder} ${name}`);
  }
  writeFileSync(inSource('two', LONG), 'long');
  await makeOldCopy(bench, setup);
}

const LONG = 'long '.repeat(40).trim();

/** Finds the cipher path of a plaintext path by the sizes in a stock mount. */
async function cipherPathOf(plainPath: string): Promise<string> {
  const { ino } = await withMount(bench.copy, bench.passfile, (mountpoint) =>
    Promise.resolve(lstatSync(path.join(mountpoint, plainPath))),
  );
  // A forward mount shows the inode numbers of the copy.
  const found = readdirSync(bench.copy, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(bench.copy, name))
    .find((file) => lstatSync(file).ino === ino);
  if (found === undefined) throw new Error(`no ${plainPath} in the copy`);
  return found;
}

/** Replaces the content, but keeps time and mode, which rsync's quick check does not see. */
function replaceQuietly(file: string, bytes: Uint8Array): void {
  const { atime, mtime } = lstatSync(file);
  chmodSync(file, 0o644);
  writeFileSync(file, bytes);
  chmodSync(file, 0o444);
  utimesSync(file, atime, mtime);
}

/** Expects a refusal that leaves nothing behind. */
async function expectRefusal(result: CliResult, code: number, error: string): Promise<void> {
  expect(summaryOf(result).error?.code).toBe(error);
  expect(result.code).toBe(code);
  expect(result.stderr).not.toMatch(/\n\s+at /);
  const left = await readdir(bench.source).catch(() => []);
  expect(left.filter((name) => name.startsWith('.ecsync'))).toEqual([]);
}

function findings(result: CliResult): string[] {
  return events(result)
    .filter(({ type }) => type === 'finding')
    .map(
      ({ code, mending, path: plainPath }) =>
        `${String(code)} ${String(mending)} ${String(plainPath)}`,
    )
    .sort();
}

describe('a damaged copy', { timeout: 120_000 }, () => {
  const adopt = (...words: readonly string[]) =>
    run('adopt', remoteOf('ssh'), bench.source, '--json', ...words);

  it.each(['reverse', 'forward'] as const)(
    'that lost .name files is reported, and repaired on request (%s)',
    async (kind) => {
      await makeSmall({ kind, words: [] });
      const file = await cipherPathOf(`two/${LONG}`);
      const folder = await cipherPathOf(`one/${LONG}`);
      replaceQuietly(`${file}.name`, randomBytes(lstatSync(`${file}.name`).size));
      rmSync(`${folder}.name`);
      const refused = await adopt();
      await expectRefusal(refused, 26, 'copy-damaged');
      const expected = [
        `name-file-invalid repair two/${LONG}`,
        `name-file-missing repair one/${LONG}`,
      ];
      expect(findings(refused)).toEqual(expected);
      await expectRefusal(await adopt('-n'), 26, 'copy-damaged');

      const mended = await adopt('--repair');
      expect(findings(mended)).toEqual(expected);
      expect(summaryOf(mended)).toMatchObject({ exitCode: 0, damaged: 2, mended: 2, extra: 0 });
      expect(readFileSync(`${file}.name`, 'latin1')).toMatch(/^[A-Za-z0-9_-]{200,}$/);
      await expectNothingToPush();
      expect(await problemsOfCopy()).toEqual([]);
    },
  );

  it('with stale dirivs, as gocryptfs -reverse before 2.5 made them, is repaired', async () => {
    await makeSmall({ kind: 'reverse', words: [] });
    const [one, two] = [await cipherPathOf('one'), await cipherPathOf(`one/${LONG}`)];
    replaceQuietly(path.join(one, 'gocryptfs.diriv'), randomBytes(16));
    rmSync(path.join(two, 'gocryptfs.diriv'));
    const expected = [`diriv-missing repair one/${LONG}`, 'diriv-stale repair one'];
    const refused = await adopt();
    expect(findings(refused)).toEqual(expected);
    await expectRefusal(refused, 26, 'copy-damaged');
    expect(summaryOf(await adopt('--repair'))).toMatchObject({ exitCode: 0, mended: 2 });
    await expectNothingToPush();
    expect(await problemsOfCopy()).toEqual([]);
  });

  it('with a lost diriv of a mount is adopted, and that folder is sent again', async () => {
    await makeSmall({ kind: 'forward', words: [] });
    const [one, two] = [await cipherPathOf('one'), await cipherPathOf('two')];
    rmSync(path.join(one, 'gocryptfs.diriv'));
    replaceQuietly(path.join(two, 'gocryptfs.diriv'), randomBytes(16));
    const refused = await adopt();
    expect(findings(refused)).toEqual(['diriv-missing resend one', 'diriv-wrong resend two']);
    await expectRefusal(refused, 26, 'copy-damaged');
    const adopted = await adopt('--repair');
    expect(summaryOf(adopted)).toMatchObject({ exitCode: 0, damaged: 2, mended: 0 });
    const pushed = await run('push', '-C', bench.source, '--delete', '--json');
    expect(summaryOf(pushed)).toMatchObject({ exitCode: 0, filesSent: 7 });
    expect(await problemsOfCopy()).toEqual([]);
    await expectNothingToPush();
  });

  it('with foreign objects is adopted with a note', async () => {
    await makeSmall({ kind: 'forward', words: [] });
    writeFileSync(path.join(bench.copy, 'foreign.txt'), 'foreign');
    const adopted = await adopt();
    expect(findings(adopted)).toEqual(['foreign-object none undefined']);
    expect(summaryOf(adopted)).toMatchObject({ exitCode: 0, damaged: 0, extra: 0 });
  });
});

describe(
  'an adoption that is killed before it makes or renames something here',
  { timeout: 60_000 },
  () => {
    it.each(['forward', 'reverse'] as const)('leaves the copy unchanged: %s', async (kind) => {
      await makeSmall({ kind, words: [] });
      const every = ['-printf', '%p %i %m %s %T@ %C@ %l\n'];
      const copy = (): string => execFileSync('find', [bench.copy, ...every], { encoding: 'utf8' });
      const before = copy();
      const words = ['adopt', bench.copy, bench.source, '--passfile', bench.passfile];
      const hook = { NODE_OPTIONS: `--import ${KILL_HOOK}`, KILL_COUNT: path.join(bench.dir, 'n') };
      for (const at of [1, 4, 7]) {
        rmSync(inSource('.ecsync'), { recursive: true, force: true });
        const killed = await ecsync(words, { env: { ...hook, KILL_AT: String(at) } });
        expect(killed.signal).toBe('SIGKILL');
        expect(copy()).toBe(before);
      }
      rmSync(inSource('.ecsync'), { recursive: true, force: true });
      expect(await ecsync(words)).toMatchObject({ code: 0 });
      expect(copy()).toBe(before);
    });
  },
);

describe('a folder that hardly matches the copy', () => {
  it.each<[readonly string[], string | undefined]>([
    [[], 'nothing of the copy is in'],
    [['two'], undefined],
  ])('sharing %j', async (shared, warning) => {
    await makeSmall({ kind: 'forward', words: [] });
    for (const name of readdirSync(bench.source)) {
      if (!shared.includes(name)) rmSync(inSource(name), { recursive: true });
    }
    writeFileSync(inSource('something else'), 'else');
    const adopted = await run('adopt', remoteOf('local'), bench.source, '--json');
    expect(summaryOf(adopted)).toMatchObject({ exitCode: 0, missing: 1 });
    const told = events(adopted).filter(({ type }) => type === 'warning');
    expect(told.map(({ code }) => code)).toEqual(warning === undefined ? [] : ['stranger']);
    expect(adopted.stderr).toContain(warning ?? '');
  });
});

describe('a refused adoption', { timeout: 60_000 }, () => {
  const adopt = (...words: readonly string[]) =>
    run('adopt', remoteOf('ssh'), bench.source, '--json', ...words);

  it('because of a wrong key', async () => {
    await makeSmall({ kind: 'forward', words: ['-plaintextnames'] });
    writeFileSync(bench.passfile, 'wrong\n');
    await expectRefusal(await adopt('--plaintextnames'), 12, 'wrong-password');
    const told = ['--plaintextnames', '--masterkey=stdin'];
    const other = await ecsync(['adopt', remoteOf('ssh'), bench.source, '--json', ...told], {
      env: { HOME: sshd.home },
      input: `${'00'.repeat(32)}\n`,
    });
    await expectRefusal(other, 12, 'wrong-masterkey');
  });

  it('because of the copy', async () => {
    mkdirSync(bench.source);
    writeFileSync(inSource('file'), 'file');
    await expectRefusal(await adopt(), 5, 'source-missing');
    mkdirSync(bench.copy);
    await expectRefusal(await adopt(), 10, 'conf-missing');
    writeFileSync(path.join(bench.copy, 'gocryptfs.conf'), '{}');
    await expectRefusal(await adopt(), 10, 'conf-version-unsupported');
    const inside = await run('adopt', bench.source, bench.source, '--json');
    await expectRefusal(inside, 2, 'destination-overlaps');
    await expectRefusal(
      await run('adopt', 'nas', bench.source, '--json'),
      2,
      'destination-invalid',
    );
  });

  it('because of the folder', async () => {
    await expectRefusal(await adopt(), 2, 'not-a-folder');
    mkdirSync(bench.source);
    const empty = await adopt();
    await expectRefusal(empty, 2, 'source-empty');
    expect(summaryOf(empty).error?.hint).toContain('ecsync clone');
    await makeSmall({ kind: 'forward', words: [] });
    expect(summaryOf(await adopt())).toMatchObject({ exitCode: 0 });
    const again = await adopt();
    expect(again.code).toBe(2);
    expect(summaryOf(again).error?.code).toBe('vault-exists');
  });

  it('because of an interruption', async () => {
    await makeSmall({ kind: 'forward', words: [] });
    const marker = path.join(bench.dir, 'started');
    const rsh = path.join(bench.dir, 'rsh');
    writeFileSync(rsh, `#!/bin/sh\ntouch ${marker}\nexec sleep 60\n`, { mode: 0o755 });
    const result = await ecsync(
      [
        'adopt',
        `host:${bench.copy}`,
        bench.source,
        '--json',
        '-e',
        rsh,
        '--passfile',
        bench.passfile,
      ],
      {
        onStart: (child) => {
          const watch = setInterval(() => {
            if (existsSync(marker)) {
              clearInterval(watch);
              child.kill('SIGINT');
            }
          }, 20);
          child.once('exit', () => clearInterval(watch));
        },
      },
    );
    await expectRefusal(result, 130, 'interrupted');
  });
});

describe('a login that may only write', { timeout: 60_000 }, () => {
  it('gets a hint, and works together with a local copy', async () => {
    await makeSmall({ kind: 'forward', words: [] });
    const restricted = await startSshd({ forcedCommand: `rrsync -wo ${bench.dir}` });
    const remote = `ssh://${restricted.user}@127.0.0.1:${restricted.port}/./copy`;
    const words = ['adopt', remote, bench.source, '--json', '--passfile', bench.passfile];
    const env = { HOME: restricted.home };
    try {
      const refused = await ecsync(words, { env });
      await expectRefusal(refused, 5, 'source-forbidden');
      expect(summaryOf(refused).error?.hint).toContain('--cipherdir');
      const local = path.join(bench.dir, 'local');
      cpSync(bench.copy, local, { recursive: true, preserveTimestamps: true });
      const adopted = await ecsync([...words, '--cipherdir', local], { env });
      expect(summaryOf(adopted)).toMatchObject({ exitCode: 0, missing: 0, differing: 0, extra: 0 });
      const push = ['push', '-C', bench.source, '-i', '--delete', '--json'];
      const pushed = await ecsync([...push, '--passfile', bench.passfile], { env });
      expect(summaryOf(pushed)).toMatchObject({ exitCode: 0, filesSent: 0, literalBytes: 0 });
      expect(await problemsOfCopy()).toEqual([]);
    } finally {
      await restricted.stop();
    }
  });
});
