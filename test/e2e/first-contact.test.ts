// Goal: a first push never mixes with somebody's files unasked, and no push ever changes the mode
// of a folder that existed before, such as a home folder. A copy that has gone is not made again
// without --new-copy.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDaemon, type RunningDaemon } from '../support/rsync-daemon.ts';
import { type RunningSshd, startSshd } from '../support/sshd.ts';
import { type Bench, ecsync, initVault, makeBench, summaryOf } from './support/cli.ts';
import { fsck } from './support/stock.ts';

const HOME_MODE = 0o710;

let bench: Bench;
let sshd: RunningSshd;
let restricted: RunningSshd;
let daemon: RunningDaemon;
beforeAll(async () => {
  bench = await makeBench();
  mkdirSync(path.join(bench.source, 'folder'), { recursive: true });
  for (const name of ['one', 'folder/two']) writeFileSync(path.join(bench.source, name), name);
  symlinkSync('one', path.join(bench.source, 'link'));
  // As after somebody's `chmod 777`.
  chmodSync(bench.source, 0o777);
  await initVault(bench);
  mkdirSync(inside('writable'));
  [sshd, restricted, daemon] = await Promise.all([
    startSshd(),
    startSshd({ forcedCommand: `rrsync -wo ${inside('writable')}` }),
    startDaemon({ open: [] }),
  ]);
}, 60_000);
afterAll(async () => {
  await Promise.all([sshd.stop(), restricted.stop(), daemon.stop()]);
  await bench.remove();
});

const inside = (...names: string[]): string => path.join(bench.dir, ...names);

async function run(words: readonly string[], home = sshd) {
  const result = await ecsync(
    [...words, '-C', bench.source, '--passfile', bench.passfile, '--json'],
    {
      env: { HOME: home.home },
    },
  );
  return { ...result, error: summaryOf(result).error };
}

const modeOf = (folder: string): number => statSync(folder).mode & 0o7777;

const overSsh = (folder: string): string => `ssh://${sshd.user}@127.0.0.1:${sshd.port}${folder}`;

interface Place {
  readonly where: string;
  readonly folder: () => string;
  readonly url: () => string;
  readonly words?: readonly string[];
  readonly home?: () => RunningSshd;
}

const PLACES: readonly Place[] = [
  { where: 'over ssh', folder: () => inside('ssh'), url: () => overSsh(inside('ssh')) },
  {
    where: 'over ssh, by a login that may write only',
    folder: () => inside('writable', 'copy'),
    url: () => `ssh://${restricted.user}@127.0.0.1:${restricted.port}/copy`,
    home: () => restricted,
  },
  {
    where: 'in a module of a daemon',
    folder: () => path.join(daemon.folder('open'), 'copy'),
    url: () => `rsync://127.0.0.1:${daemon.port}/open/copy`,
  },
  { where: 'in a local folder', folder: () => inside('local'), url: () => inside('local') },
  {
    where: 'in a local folder, by its rsync',
    folder: () => inside('by-rsync'),
    url: () => inside('by-rsync'),
    words: ['--rsync-path', 'rsync'],
  },
];

describe.each(PLACES)('a folder with foreign files $where', (place) => {
  it(
    'is refused at first, and later keeps its mode and its files',
    { timeout: 60_000 },
    async () => {
      const folder = place.folder();
      const push = (...words: string[]) =>
        run(['push', place.url(), ...(place.words ?? []), ...words], place.home?.());
      mkdirSync(path.join(folder, 'lost+found'), { recursive: true });
      writeFileSync(path.join(folder, 'letter'), 'mine');
      chmodSync(folder, HOME_MODE);
      const refused = await push();
      expect(refused.error).toMatchObject({
        code: 'destination-not-a-copy',
        message: expect.stringContaining('(letter)') as string,
        hint: expect.stringContaining('--into-non-empty') as string,
      });
      expect(refused.code).toBe(10);
      expect(readdirSync(folder).sort()).toEqual(['letter', 'lost+found']);

      expect((await push('--into-non-empty')).error).toBeUndefined();
      expect(modeOf(folder)).toBe(HOME_MODE);
      const again = await push('-i');
      expect(again).toMatchObject({ code: 0, error: undefined });
      expect(again.stdout).not.toContain('"item"');
      expect(modeOf(folder)).toBe(HOME_MODE);

      // Foreign objects are not deleted. With `keep`, the rest is.
      expect((await push('--delete')).code).toBe(10);
      expect((await push('--delete', '--keep', '/letter')).error).toBeUndefined();
      expect(readdirSync(folder)).toEqual(expect.arrayContaining(['letter', 'lost+found']));
    },
  );
});

describe.each(PLACES)('a gocryptfs.conf that is no file $where', (place) => {
  it.each(['link', 'pipe', 'folder'])('is refused: a %s', { timeout: 60_000 }, async (kind) => {
    const folder = place.folder();
    const conf = path.join(folder, 'gocryptfs.conf');
    rmSync(folder, { recursive: true, force: true });
    rmSync(path.join(bench.source, '.ecsync', 'index'), { recursive: true, force: true });
    mkdirSync(kind === 'folder' ? conf : folder, { recursive: true });
    if (kind === 'link') symlinkSync('../elsewhere', conf);
    if (kind === 'pipe') execFileSync('mkfifo', [conf]);
    if (kind === 'folder') writeFileSync(path.join(conf, 'letter'), 'mine');
    for (const words of [[], ['--into-non-empty']]) {
      const all = ['push', place.url(), ...(place.words ?? []), ...words];
      const refused = await run(all, place.home?.());
      // A daemon does not say what kind of folder is in the way of a file.
      const isUntold = kind === 'folder' && place.where.includes('daemon');
      expect(refused.code).toBe(isUntold ? 5 : 10);
      if (kind !== 'folder') expect(refused.error?.code).toBe('destination-not-a-copy');
      expect(readdirSync(folder)).toEqual(['gocryptfs.conf']);
      expect(lstatSync(conf).isFile()).toBe(false);
    }
    rmSync(folder, { recursive: true });
  });
});

it('a mirror is refused as well, and continues a plain copy on request', async () => {
  const folder = inside('mirrored');
  const words = ['remote', 'add', '--no-encrypt', 'mirror', overSsh(folder)];
  expect((await ecsync([...words, '-C', bench.source])).code).toBe(0);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'one'), 'one');
  chmodSync(folder, HOME_MODE);
  expect(await run(['push', 'mirror'])).toMatchObject({ code: 10 });
  expect(await run(['push', 'mirror', '--into-non-empty'])).toMatchObject({ code: 0 });
  expect(modeOf(folder)).toBe(HOME_MODE);
  expect(readdirSync(folder).sort()).toEqual(['.ecsync-mirror', 'folder', 'link', 'one']);
  expect(await run(['verify', 'mirror'])).toMatchObject({ code: 0 });
});

it('plaintext names never replace existing files', async () => {
  const other = await makeBench();
  mkdirSync(other.source);
  writeFileSync(path.join(other.source, 'letter'), 'encrypted');
  const init = ['init', other.source, '--plaintextnames', '--scryptn', '10'];
  expect((await ecsync([...init, '--passfile', other.passfile])).code).toBe(0);
  mkdirSync(other.copy);
  writeFileSync(path.join(other.copy, 'letter'), 'the only version');
  const words = ['push', '-C', other.source, '--passfile', other.passfile, other.copy];
  const refused = await ecsync([...words, '--into-non-empty']);
  expect(refused.code).toBe(10);
  expect(refused.stderr).toContain('would overwrite them');
  expect(readdirSync(other.copy)).toEqual(['letter']);
  await other.remove();
});

it('an existing empty folder keeps its mode, and a new one gets that of the vault', async () => {
  const empty = inside('empty');
  mkdirSync(empty, { mode: 0o700 });
  expect(await run(['push', overSsh(empty)])).toMatchObject({ code: 0 });
  expect(modeOf(empty)).toBe(0o700);
  expect(await run(['verify', overSsh(empty)])).toMatchObject({ code: 0 });
  rmSync(path.join(bench.source, '.ecsync', 'index'), { recursive: true, force: true });
  expect(await run(['push', overSsh(empty)])).toMatchObject({ code: 0 });
  expect(modeOf(empty)).toBe(0o700);
  // Files of the system are no damage.
  for (const name of ['lost+found', '@eaDir']) mkdirSync(path.join(empty, name));
  writeFileSync(path.join(empty, '.DS_Store'), '');
  expect(await run(['fsck', empty])).toMatchObject({ code: 0, error: undefined });
  // Nor are files that `keep` names, whether or not they look like encrypted names.
  const foreign = ['letter', 'notes-of-somebody-else'];
  for (const name of foreign) writeFileSync(path.join(empty, name), 'mine');
  const config = path.join(bench.source, '.ecsync', 'config.toml');
  const before = readFileSync(config, 'utf8');
  const restoring = (to: string) => ['restore', '--from', overSsh(empty), '--to', inside(to)];
  const keep = foreign.flatMap((name) => ['--keep', `/${name}`]);
  for (const words of [['fsck', overSsh(empty)], restoring('among-others')]) {
    expect(await run([...words, ...keep.slice(0, 2)])).toMatchObject({ code: 26 });
    expect(await run([...words, ...keep])).toMatchObject({ code: 0, stderr: '' });
    appendFileSync(config, `\n[push]\nkeep = ["/letter", "/notes-*"]\n`);
    expect(await run(words)).toMatchObject({ code: 0, stderr: '' });
    writeFileSync(config, before);
  }
  const made = inside('made');
  expect(await run(['push', overSsh(made)])).toMatchObject({ code: 0 });
  expect(modeOf(made)).toBe(0o777);
});

it.skipIf(process.getuid?.() !== 0)(
  'an unreadable folder of the system does not affect the copy',
  { timeout: 60_000 },
  async () => {
    const other = await makeBench();
    // More files than are requested by name.
    mkdirSync(path.join(other.source, 'many'), { recursive: true });
    for (let i = 0; i < 1001; i++) writeFileSync(path.join(other.source, 'many', `${i}`), 'x');
    await initVault(other);
    mkdirSync(path.join(other.copy, 'lost+found'), { recursive: true, mode: 0o700 });
    chownSync(other.copy, 65534, 65534);
    chmodSync(other.dir, 0o711);
    const rsh = path.join(other.dir, 'as-nobody');
    const as = 'exec setpriv --reuid=65534 --regid=65534 --clear-groups';
    const lines = ['#!/bin/sh', 'cd /', 'for line; do :; done', `${as} sh -c "$line"`, ''];
    writeFileSync(rsh, lines.join('\n'), { mode: 0o755 });
    const url = `someone@somewhere:${other.copy}`;
    const doing = (...words: string[]) =>
      ecsync([...words, '-e', rsh, '--passfile', other.passfile], { cwd: other.source });
    try {
      const target = path.join(other.dir, 'target');
      for (const words of [
        ['push', url, '--no-owner', '--no-group', '--delete'],
        ['fsck', url],
        ['ls', '--from', url, '--via', 'rsync'],
        ['restore', '--from', url, '--to', target],
      ]) {
        const { code, stderr } = await doing(...words);
        expect({ words, code, stderr }).toMatchObject({ code: 0 });
        expect(stderr).not.toContain('lost+found');
      }
      expect(readdirSync(path.join(target, 'many'))).toHaveLength(1001);
      // Missing files of the copy are noticed.
      const [folder = ''] = readdirSync(other.copy).filter((name) => /^[\w-]{22}$/.test(name));
      chmodSync(path.join(other.copy, folder), 0);
      expect((await doing('fsck', url)).code).not.toBe(0);
    } finally {
      await other.remove();
    }
  },
);

describe('the folders above a new copy', () => {
  /** As rsync before 3.2.3. */
  const withoutMkpath = (): string => {
    const script = inside('old-rsync');
    const lines = ['#!/bin/sh', 'case "$*" in *--mkpath*) exit 1;; esac', 'exec rsync "$@"', ''];
    writeFileSync(script, lines.join('\n'), { mode: 0o755 });
    return script;
  };
  const cases = [
    { where: 'over ssh', url: () => overSsh(inside('deep', 'er', 'copy')), at: 'deep/er/copy' },
    {
      where: 'over ssh, one by one',
      url: () => overSsh(inside('step', 'by', 'step')),
      at: 'step/by/step',
      words: () => ['--rsync-path', withoutMkpath()],
    },
    {
      where: 'by rrsync',
      url: () => `ssh://${restricted.user}@127.0.0.1:${restricted.port}/deep/er/copy`,
      at: 'writable/deep/er/copy',
      home: () => restricted,
    },
    {
      where: 'in a module of a daemon',
      url: () => `rsync://127.0.0.1:${daemon.port}/open/deep/er/copy`,
      at: undefined,
    },
    { where: 'locally', url: () => inside('lo', 'cal', 'copy'), at: 'lo/cal/copy' },
  ];
  it.each(cases)('are made $where', async ({ url, at, words, home }) => {
    const result = await run(['push', url(), ...(words?.() ?? [])], home?.());
    expect(result).toMatchObject({ code: 0, error: undefined, stderr: '' });
    const copy = at === undefined ? path.join(daemon.folder('open'), 'deep/er/copy') : inside(at);
    expect(readdirSync(copy)).toContain('gocryptfs.conf');
    expect(modeOf(copy)).toBe(0o777);
    // The vault's mode does not apply above the copy.
    expect(modeOf(path.dirname(copy)) & 0o022).toBe(0);
  });

  it('are also made for a restored vault', async () => {
    const copy = inside('copied');
    expect(await run(['push', copy])).toMatchObject({ code: 0 });
    const to = inside('re', 'sto', 'red');
    expect(await run(['restore', '--from', copy, '--to', to])).toMatchObject({ code: 0 });
    expect(readdirSync(to)).toContain('one');
    const clone = inside('clo', 'ned', 'vault');
    const words = ['clone', copy, clone, '--passfile', bench.passfile];
    expect((await ecsync(words)).code).toBe(0);
    expect(readdirSync(clone)).toContain('one');
  });
});

describe('a copy that has gone', () => {
  const disk = (): string => inside('disk');
  const cases = [
    { where: 'from a local folder', url: () => inside('disk', 'copy'), code: 75 },
    { where: 'from a server', url: () => overSsh(inside('disk', 'copy')), code: 10 },
    {
      where: 'from a server, by protocol 27',
      url: () => overSsh(inside('disk', 'old')),
      code: 10,
      words: ['--protocol', '27'],
    },
    { where: 'from the root of a disk', url: () => overSsh(disk()), code: 10 },
  ];
  it.each(cases)(
    '$where is not made again',
    { timeout: 60_000 },
    async ({ url, code, words = [] }) => {
      const push = (...more: string[]) => run(['push', url(), '--delete', ...words, ...more]);
      const away = inside('away');
      mkdirSync(disk());
      expect(await push()).toMatchObject({ code: 0 });
      renameSync(disk(), away);
      // Nothing, an empty mount point, and one with new objects.
      for (const isThere of [false, true]) {
        if (isThere) mkdirSync(disk(), { recursive: true });
        writeFileSync(path.join(bench.source, `new-${isThere}`), 'new');
        mkdirSync(path.join(bench.source, `folder-${isThere}`), { recursive: true });
        const stopped = await push();
        expect(stopped).toMatchObject({ code, error: { code: 'copy-gone' } });
        expect(stopped.error?.hint).toContain('mounted');
        expect(await run(['push', url(), '-n', ...words])).toMatchObject({ code });
      }
      const left = readdirSync(disk(), { recursive: true, encoding: 'utf8' });
      expect(left.filter((name) => name !== 'copy' && name !== 'old')).toEqual([]);
      expect(await push('--new-copy')).toMatchObject({ code: 0, error: undefined });
      const target = existsSync(path.join(disk(), 'gocryptfs.conf'))
        ? disk()
        : path.join(disk(), readdirSync(disk())[0] ?? '');
      expect((await fsck(target, bench.passfile)).code).toBe(0);
      rmSync(disk(), { recursive: true });
      // The disk is mounted again.
      renameSync(away, disk());
      expect(await push()).toMatchObject({ code: 0, error: undefined });
      rmSync(disk(), { recursive: true });
    },
  );
});
