// Goal: nothing is written outside of the folder, nothing is half written under its final name, and
// times survive to the second. Method: real folders with traps in them, full and read-only disks.
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileError } from '../../../src/errors.ts';
import { DirectoryHandles } from '../../../src/tree/local/directory-handles.ts';
import { LocalStore, type LocalStoreOptions } from '../../../src/tree/target/local-store.ts';
import { prepareFolder } from '../../../src/tree/target/prepare-folder.ts';
import { storedTime } from '../../../src/tree/stored-time.ts';

let base = '';
let root = '';
let outside = '';
const stores: LocalStore[] = [];
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ecsync-store-'));
  root = join(base, 'root');
  outside = join(base, 'outside');
  fs.mkdirSync(root);
  fs.mkdirSync(outside);
  fs.writeFileSync(join(outside, 'precious'), 'precious');
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  fs.rmSync(base, { recursive: true, force: true });
});

function open(options: LocalStoreOptions = {}): LocalStore {
  const store = new LocalStore(root, options);
  stores.push(store);
  return store;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

async function writeFile(store: LocalStore, path: string, content: string): Promise<void> {
  const file = await store.createFile(bytes(path), content.length);
  await file.write(bytes(content));
  await file.commit({ mode: 0o640, mtimeSec: 1000, mtimeNsec: 5 });
}

/** Every way to change something at a path. */
const CHANGES: Record<string, (store: LocalStore, path: Buffer) => Promise<unknown>> = {
  createFile: async (store, path) => (await store.createFile(path, 0)).commit({}),
  createDirectory: (store, path) => store.createDirectory(path, 0o700),
  createSymlink: (store, path) => store.createSymlink(path, bytes('t')),
  createLink: (store, path) => store.createLink(path, bytes('there')),
  createSpecial: (store, path) =>
    store.createSpecial({
      path,
      mode: 0o010600,
      size: 0,
      mtimeSec: 0,
      mtimeNsec: 0,
      uid: 0,
      gid: 0,
    }),
  setAttributes: (store, path) =>
    store.setAttributes({ path, mode: 0o100644 }, { mode: 0o777, mtimeSec: 7 }),
  removeFile: (store, path) => store.removeFile(path),
  removeDirectory: (store, path) => store.removeDirectory(path),
  list: (store, path) => store.list(path),
};

const UNSAFE = [
  '',
  '..',
  '../outside/precious',
  'a/../../outside/precious',
  '/etc/passwd',
  'a//b',
  './a',
  'a/.',
  'a/',
  'x\0y',
  'a/..',
];

describe('paths', () => {
  it.each(Object.keys(CHANGES))('%s refuses every name outside the folder', async (change) => {
    const store = open();
    fs.writeFileSync(join(root, 'there'), '');
    fs.mkdirSync(join(root, 'a'));
    for (const path of UNSAFE) {
      await expect(CHANGES[change]?.(store, bytes(path)), path).rejects.toMatchObject({
        code: 'name-unsafe',
      });
    }
    expect(fs.readdirSync(root).sort()).toEqual(['a', 'there']);
    expect(fs.readFileSync(join(outside, 'precious'), 'utf8')).toBe('precious');
  });

  it.each(Object.keys(CHANGES))('%s follows no symlink', async (change) => {
    const store = open({ makeSpecial: (path) => Boolean(execFileSync('mkfifo', [path])) || true });
    fs.writeFileSync(join(root, 'there'), '');
    fs.symlinkSync('../outside', join(root, 'trap'));
    const before = fs.statSync(join(outside, 'precious'));
    for (const path of ['trap/precious', 'trap/new']) {
      await expect(CHANGES[change]?.(store, bytes(path)), path).rejects.toThrow(FileError);
    }
    const after = fs.statSync(join(outside, 'precious'));
    expect([after.mode, after.mtimeMs, after.nlink]).toEqual([
      before.mode,
      before.mtimeMs,
      before.nlink,
    ]);
    expect(fs.readdirSync(outside)).toEqual(['precious']);
  });

  it('setAttributes changes a symlink itself, not its target', async () => {
    fs.symlinkSync('../outside/precious', join(root, 'l'));
    const before = fs.statSync(join(outside, 'precious')).mtimeMs;
    await open().setAttributes({ path: bytes('l'), mode: 0o120777 }, { mode: 0o600, mtimeSec: 99 });
    expect(fs.lstatSync(join(root, 'l')).mtimeMs).toBe(99_000);
    expect(fs.statSync(join(outside, 'precious')).mtimeMs).toBe(before);
    // Claimed to be a file, but it is a symlink: refused rather than followed.
    const claim = { path: bytes('l'), mode: 0o100644 };
    await open()
      .setAttributes(claim, { mode: 0o777 })
      .catch(() => undefined);
    expect(fs.statSync(join(outside, 'precious')).mode & 0o777).toBe(0o644);
  });

  it('a held folder that becomes a symlink is not followed', async () => {
    const store = open();
    await store.createDirectory(bytes('d'), 0o700);
    await writeFile(store, 'd/one', '1');
    fs.renameSync(join(root, 'd'), join(root, 'moved'));
    fs.symlinkSync('../outside', join(root, 'd'));
    await writeFile(store, 'd/two', '2');
    expect(fs.readdirSync(outside)).toEqual(['precious']);
    expect(fs.readdirSync(join(root, 'moved')).sort()).toEqual(['one', 'two']);
  });

  it('a folder has its permissions as soon as it exists', async () => {
    const store = open();
    await store.createDirectory(bytes('open'), 0o755);
    await store.createDirectory(bytes('closed'), 0o700);
    const modes = ['open', 'closed'].map((name) => fs.statSync(join(root, name)).mode & 0o777);
    expect(modes).toEqual([0o755, 0o700]);
  });

  it('a folder that was removed and created again is found', async () => {
    const store = open();
    await store.createDirectory(bytes('d'), 0o700);
    await store.createDirectory(bytes('d/e'), 0o700);
    await writeFile(store, 'd/e/f', '1');
    await store.removeFile(bytes('d/e/f'));
    await store.removeDirectory(bytes('d/e'));
    await store.removeDirectory(bytes('d'));
    await store.createDirectory(bytes('d'), 0o700);
    await writeFile(store, 'd/g', '2');
    expect(fs.readFileSync(join(root, 'd/g'), 'utf8')).toBe('2');
  });

  it('depth: hundreds of nested folders, with few handles held', async () => {
    const store = open();
    let path = '';
    for (let depth = 0; depth < 400; depth++) {
      path += `${path === '' ? '' : '/'}d`;
      await store.createDirectory(bytes(path), 0o700);
    }
    await writeFile(store, `${path}/f`, 'deep');
    await store.createLink(bytes('shallow'), bytes(`${path}/f`));
    expect(fs.readFileSync(join(root, 'shallow'), 'utf8')).toBe('deep');
    expect(fs.readdirSync('/proc/self/fd').length).toBeLessThan(600);
  });

  it('any bytes in names', async () => {
    const store = open();
    const name = Buffer.from([0xff, 0x0a, 0x1b, 0x2a, 0xc3]);
    await store.createDirectory(name, 0o700);
    const file = await store.createFile(Buffer.concat([name, bytes('/'), name]), 0);
    await file.commit({});
    expect(await store.list(name)).toEqual([Buffer.concat([name, bytes('/'), name])]);
  });

  it('handles are closed at the end', () => {
    const count = () => fs.readdirSync('/proc/self/fd').length;
    const before = count();
    fs.mkdirSync(join(root, 'a/b/c'), { recursive: true });
    const handles = new DirectoryHandles(bytes(root));
    handles.locate(bytes('a/b/c/x'));
    expect(count()).toBeGreaterThan(before);
    handles.close();
    expect(count()).toBe(before);
  });
});

describe('files', () => {
  it('have their name only when they are complete, with all attributes', async () => {
    const store = open();
    fs.writeFileSync(join(root, 'f'), 'old');
    const file = await store.createFile(bytes('f'), 3_000_000);
    for (let i = 0; i < 3; i++) await file.write(Buffer.alloc(1_000_000, i));
    expect(fs.readFileSync(join(root, 'f'), 'utf8')).toBe('old');
    await file.commit({
      mode: 0o4750,
      mtimeSec: 1234567890,
      mtimeNsec: 999_999_999,
      uid: 5,
      gid: 6,
    });
    const stats = fs.statSync(join(root, 'f'));
    expect([stats.size, stats.mode & 0o7777, stats.uid, stats.gid]).toEqual([
      3_000_000, 0o4750, 5, 6,
    ]);
    expect(Math.floor(stats.mtimeMs / 1000)).toBe(1234567890);
    expect(fs.readdirSync(root)).toEqual(['f']);
  });

  it('are complete whatever pieces they are written in', async () => {
    const store = open({ durable: false });
    const pieces = fc.array(fc.nat(300_000), { maxLength: 8 });
    const property = fc.asyncProperty(pieces, fc.nat(400_000), async (lengths, sizeHint) => {
      const file = await store.createFile(bytes('f'), sizeHint);
      const expected = lengths.map((length, i) => Buffer.alloc(length, i + 1));
      for (const piece of expected) await file.write(piece);
      await file.commit({});
      expect(fs.readFileSync(join(root, 'f')).equals(Buffer.concat(expected))).toBe(true);
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('leave nothing when they are discarded', async () => {
    const file = await open().createFile(bytes('f'), 10);
    await file.write(bytes('x'));
    await file.discard();
    await file.discard();
    expect(fs.readdirSync(root)).toEqual([]);
  });

  it('leave the old one in place when they cannot be stored', async () => {
    fs.mkdirSync(join(root, 'f'));
    fs.writeFileSync(join(root, 'f', 'x'), '');
    const file = await open().createFile(bytes('f'), 10);
    await expect(file.commit({})).rejects.toMatchObject({ code: 'write-failed', exitCode: 23 });
    expect(fs.readdirSync(root)).toEqual(['f']);
  });

  it('have names of every length that the disk accepts', async () => {
    const store = open();
    await writeFile(store, 'n'.repeat(255), 'x');
    await expect(writeFile(store, 'n'.repeat(256), 'x')).rejects.toMatchObject({
      facts: { errno: 'ENAMETOOLONG' },
    });
    expect(fs.readdirSync(root)).toEqual(['n'.repeat(255)]);
  });

  it('are built in the temporary folder', async () => {
    fs.mkdirSync(join(root, 'tmp'));
    const store = open({ tempDir: 'tmp' });
    await store.prepare();
    const file = await store.createFile(bytes('f'), 1);
    expect(fs.readdirSync(root)).toEqual(['tmp']);
    expect(fs.readdirSync(join(root, 'tmp')).length).toBe(1);
    await file.commit({});
    expect(fs.readdirSync(root).sort()).toEqual(['f', 'tmp']);
    await expect(open({ tempDir: 'missing' }).prepare()).rejects.toMatchObject({
      code: 'temp-dir-missing',
    });
  });

  it('symlinks and hard links replace existing objects in one step', async () => {
    const store = open();
    await writeFile(store, 'f', 'content');
    await writeFile(store, 'g', 'other');
    await store.createSymlink(bytes('g'), bytes('f'));
    expect(fs.readlinkSync(join(root, 'g'))).toBe('f');
    await store.createLink(bytes('g'), bytes('f'));
    await store.createLink(bytes('g'), bytes('f'));
    expect(fs.statSync(join(root, 'g')).ino).toBe(fs.statSync(join(root, 'f')).ino);
    expect(fs.readdirSync(root).sort()).toEqual(['f', 'g']);
  });

  it('are found by name in an earlier copy', async () => {
    fs.mkdirSync(join(base, 'earlier'));
    fs.writeFileSync(join(base, 'earlier', 'f'), 'old');
    const store = open({ earlier: '../earlier' });
    expect(await store.lookupEarlier(bytes('f'))).toMatchObject({ size: 3 });
    expect(await store.lookupEarlier(bytes('g'))).toBeUndefined();
    expect(await open().lookupEarlier(bytes('f'))).toBeUndefined();
    await store.linkEarlier(bytes('f'));
    expect(fs.statSync(join(root, 'f')).nlink).toBe(2);
  });
});

describe('failures', () => {
  it('a read-only disk is named, with a remedy', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'tmpfs', root]);
    try {
      const failed = open().createFile(bytes('f'), 1);
      await expect(failed).rejects.toMatchObject({ facts: { errno: 'EROFS' }, exitCode: 23 });
      await expect(failed).rejects.toHaveProperty('hint', expect.stringContaining('read-only'));
    } finally {
      execFileSync('umount', ['-l', root]);
    }
  });

  it('a full disk is named, and the old file stays', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', root]);
    try {
      const store = open();
      await writeFile(store, 'f', 'old');
      const file = await store.createFile(bytes('f'), 1_000_000);
      const fill = async (): Promise<void> => {
        for (let i = 0; i < 10; i++) await file.write(Buffer.alloc(100_000));
        await file.commit({});
      };
      await expect(fill()).rejects.toMatchObject({ facts: { errno: 'ENOSPC' } });
      await file.discard();
      expect(fs.readdirSync(root)).toEqual(['f']);
      expect(fs.readFileSync(join(root, 'f'), 'utf8')).toBe('old');
    } finally {
      for (const store of stores.splice(0)) store.close();
      execFileSync('umount', ['-l', root]);
    }
  });

  it('attributes that cannot be set do not lose the file', async () => {
    const isRoot = process.geteuid?.() === 0;
    fs.chmodSync(base, 0o755);
    fs.chmodSync(root, 0o777);
    const store = open();
    if (isRoot) process.seteuid?.(65534);
    try {
      const file = await store.createFile(bytes('f'), 1);
      const failure = await file.commit({ uid: 1, mode: 0o600, mtimeSec: 77 });
      expect(failure).toMatchObject({ code: 'attributes-failed', facts: { errno: 'EPERM' } });
      await store.createDirectory(bytes('d'), 0o700);
      const folder = { path: bytes('d'), mode: 0o040700 };
      await expect(store.setAttributes(folder, { uid: 1, mtimeSec: 88 })).rejects.toThrow(
        FileError,
      );
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
    expect(fs.statSync(join(root, 'f')).mtimeMs).toBe(77_000);
    expect(fs.statSync(join(root, 'd')).mtimeMs).toBe(88_000);
  });

  it('a special that cannot be made is reported', async () => {
    const socket = {
      path: bytes('s'),
      mode: 0o140755,
      size: 0,
      mtimeSec: 0,
      mtimeNsec: 0,
      uid: 0,
      gid: 0,
    };
    await expect(open().createSpecial(socket)).rejects.toMatchObject({
      code: 'special-unsupported',
    });
  });

  it('prepareFolder() creates a folder and its parents', () => {
    expect(prepareFolder(join(root, 'new'), true)).toBe(true);
    expect(fs.readdirSync(root)).toEqual([]);
    expect(prepareFolder(join(root, 'new'), false)).toBe(true);
    expect(prepareFolder(join(root, 'new'), false)).toBe(false);
    for (const dryRun of [true, false]) {
      expect(prepareFolder(join(root, 'a/b'), dryRun)).toBe(true);
      expect(fs.existsSync(join(root, 'a'))).toBe(!dryRun);
    }
    expect(() => prepareFolder('/proc/nonexistent/b', false)).toThrow(/cannot create/);
  });
});

describe('storedTime()', () => {
  it('never changes the whole second', () => {
    const file = join(root, 'f');
    fs.writeFileSync(file, '');
    const sec = fc.oneof(
      fc.integer({ min: -2_000_000_000, max: 15_000_000_000 }),
      fc.constantFrom(-1, 0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 4_294_967_295),
    );
    const nsec = fc.oneof(
      fc.integer({ min: 0, max: 999_999_999 }),
      fc.constantFrom(0, 1, 999_999_999),
    );
    const property = fc.property(sec, nsec, (mtimeSec, mtimeNsec) => {
      const time = storedTime(mtimeSec, mtimeNsec);
      fs.utimesSync(file, time, time);
      const stored = fs.statSync(file, { bigint: true }).mtimeNs;
      const whole =
        (stored - (((stored % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n;
      expect(Number(whole)).toBe(mtimeSec);
    });
    fc.assert(property, { numRuns: 2000 });
  });

  it('accepts times beyond every calendar', () => {
    for (const sec of [2 ** 53 - 1, -(2 ** 53 - 1)]) {
      const time = storedTime(sec, 0);
      expect(Number.isFinite(Number(time))).toBe(true);
    }
  });
});
