// Goal: a disk that is not mounted any more does not empty its part of the copy; a push says so, and
// what to do. Method: a tmpfs mounted in a real source, pushed into a local folder and by stock rsync.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serialiseConf } from '../../../../src/gocryptfs/conf/config.ts';
import { createConf } from '../../../../src/gocryptfs/conf/keys.ts';
import {
  defaultPushSettings,
  type PushSettings,
  type PushSummary,
} from '../../../../src/sync/push/source/push-settings.ts';
import type { OpenVault } from '../../../../src/sync/push/opened-vault.ts';
import { push, type PushSurroundings } from '../../../../src/sync/push/push.ts';
import { NOT_ENCRYPTED } from '../../../../src/sync/run-settings.ts';
import { FilterRules } from '../../../../src/tree/filter/filter-syntax.ts';

let base = '';
let source = '';
let disk = '';
let copy = '';
let memory: PushSurroundings;
let vault: OpenVault | typeof NOT_ENCRYPTED;

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'ecsync-mounts-')));
  source = path.join(base, 'source');
  copy = path.join(base, 'copy');
  disk = path.join(source, 'media/disk');
  fs.mkdirSync(disk, { recursive: true });
  for (const name of ['stays', 'goes']) fs.writeFileSync(path.join(source, name), name);
  memory = {
    reporter: { item: ignore, warning: ignore, progress: ignore },
    signal: new AbortController().signal,
    store: keptBytes(),
    moves: { births: keptBytes(), locations: keptBytes() },
  };
  vault = NOT_ENCRYPTED;
  mount();
});
afterEach(() => {
  unmount();
  fs.rmSync(base, { recursive: true, force: true });
});

function ignore(): void {
  // Exit codes and copies are looked at.
}

function keptBytes(): { read(): Uint8Array | undefined; write(bytes: Uint8Array): void } {
  let kept: Uint8Array | undefined;
  return {
    read: () => kept,
    write: (bytes) => {
      kept = bytes;
    },
  };
}

function mount(): void {
  execFileSync('mount', ['-t', 'tmpfs', 'none', disk]);
  fs.mkdirSync(path.join(disk, 'photos'));
  for (const name of ['a', 'photos/b']) fs.writeFileSync(path.join(disk, name), 'on the disk');
}

function unmount(): void {
  try {
    execFileSync('umount', [disk], { stdio: 'ignore' });
  } catch {
    // It is not mounted.
  }
}

function pushNow(changes: Partial<PushSettings> = {}): Promise<PushSummary> {
  const place = { source, vaultDir: path.join(base, 'vault') };
  const usual = defaultPushSettings(place, { kind: 'local', path: copy, shown: copy });
  const settings = { ...usual, numericIds: true, delete: true, ...changes };
  return push(settings, vault, memory);
}

function inCopy(): string[] {
  return fs.readdirSync(copy, { recursive: true, encoding: 'utf8' });
}

const ON_DISK = ['media/disk/a', 'media/disk/photos', 'media/disk/photos/b'];
const copiedFromDisk = (): string[] =>
  inCopy()
    .filter((name) => name.startsWith('media/disk/'))
    .sort();

const LOST: readonly (readonly [string, () => void])[] = [
  ['is empty', ignore],
  ['is gone', () => fs.rmSync(path.join(source, 'media'), { recursive: true })],
];
const SERVERS: readonly (readonly [string, Partial<PushSettings>])[] = [
  ['in this process', {}],
  ['of stock rsync', { rsyncPath: 'rsync' }],
];

describe.each(SERVERS)('by the server %s', (_server, settings) => {
  it.each(LOST)(
    'a mount point that %s keeps its part of the copy, and nothing else, until it is mounted again',
    async (_state, change) => {
      expect((await pushNow(settings)).exitCode).toBe(0);
      unmount();
      change();
      fs.rmSync(path.join(source, 'goes'));
      const preview = await pushNow({ ...settings, dryRun: true });
      expect(preview).toMatchObject({ exitCode: 25, error: { code: 'not-mounted' } });
      for (let time = 1; time <= 2; time++) {
        const { exitCode, error } = await pushNow(settings);
        expect(exitCode).toBe(25);
        expect(error?.message).toContain('nothing was deleted from media/disk: a disk was mounted');
        expect(error?.hint).toContain('--forget-mounts');
        expect(copiedFromDisk()).toEqual(ON_DISK);
        expect(inCopy()).not.toContain('goes');
      }
      fs.mkdirSync(disk, { recursive: true });
      mount();
      fs.rmSync(path.join(disk, 'photos/b'));
      expect((await pushNow(settings)).exitCode).toBe(0);
      expect(copiedFromDisk()).toEqual(ON_DISK.slice(0, 2));
    },
  );

  it.each(LOST)(
    'of an encrypted copy what was on a disk that %s stays readable',
    async (_s, change) => {
      const password = Buffer.from('x');
      const { conf, masterkey } = await createConf({ password, scryptLogN: 10, creator: 'test' });
      vault = {
        source,
        vaultDir: path.join(base, 'vault'),
        conf: { bytes: serialiseConf(conf), mtimeSec: 1 },
        masterkey,
        derivation: 'keyed',
        virtualTimes: 'fixed',
      };
      await pushNow(settings);
      const before = inCopy();
      unmount();
      change();
      expect((await pushNow(settings)).exitCode).toBe(25);
      expect(inCopy().sort()).toEqual(before.sort());
      expect((await pushNow({ ...settings, forgetMounts: true })).exitCode).toBe(0);
      expect(inCopy().length).toBeLessThan(before.length);
    },
  );
});

it.each(LOST)(
  'a mount point that %s goes from the copy when that is asked for, once',
  async (_s, change) => {
    await pushNow();
    unmount();
    change();
    // A push that deletes nothing does not forget it.
    expect((await pushNow({ delete: false })).exitCode).toBe(0);
    expect((await pushNow()).exitCode).toBe(25);
    expect((await pushNow({ forgetMounts: true })).exitCode).toBe(0);
    expect(copiedFromDisk()).toEqual([]);
    expect((await pushNow()).exitCode).toBe(0);
  },
);

it('a mount point that --one-file-system left out is a loss only when the copy has something of it', async () => {
  const limits = { oneFileSystem: true };
  expect((await pushNow({ limits })).exitCode).toBe(0);
  unmount();
  expect((await pushNow({ limits })).exitCode).toBe(0);
  mount();
  await pushNow();
  expect((await pushNow({ limits })).exitCode).toBe(0);
  unmount();
  expect((await pushNow({ limits })).exitCode).toBe(25);
  expect(copiedFromDisk()).toEqual(ON_DISK);
});

it('a push of other parts neither stops at a lost mount point nor forgets it', async () => {
  await pushNow();
  unmount();
  expect((await pushNow({ paths: ['stays'] })).exitCode).toBe(0);
  const excluding = new FilterRules();
  excluding.exclude('/media/');
  expect((await pushNow({ rules: excluding.rules })).exitCode).toBe(0);
  expect((await pushNow()).exitCode).toBe(25);
  expect(copiedFromDisk()).toEqual(ON_DISK);
});

it('the source itself may be what is not mounted', async () => {
  source = disk;
  await pushNow();
  unmount();
  fs.writeFileSync(path.join(disk, 'left behind'), '');
  expect(await pushNow()).toMatchObject({ exitCode: 25, error: { code: 'not-mounted' } });
  expect(inCopy()).toEqual(expect.arrayContaining(['a', 'photos/b']));
});
