import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareFlist } from '../../../../src/rsync/flist/sort.ts';
import {
  compareLocations,
  digestLocations,
  encodeLocations,
  readLocations,
} from '../../../../src/sync/push/memory/locations.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';
import { S_IFDIR, S_IFREG } from '../../../../src/tree/entry.ts';

/** Names that sort otherwise than their plaintext. */
const encrypt = (path: Uint8Array): Uint8Array =>
  Buffer.from(path).map((byte) => (byte === 0x2f ? byte : 255 - byte));
const view = { cipherPath: encrypt };

function entry(path: string, { ino = 1, mode = S_IFREG | 0o644, mtimeSec = 5 } = {}): PushEntry {
  const plainPath = Buffer.from(path);
  const common = { mode, size: 10, mtimeSec, mtimeNsec: 7, uid: 0, gid: 0 };
  const plain = { ...common, path: plainPath, dev: 3, ino, nlink: 1, ctimeMs: 0, birthtimeMs: 1.5 };
  return { ...common, path: path === '.' ? plainPath : encrypt(plainPath), plain };
}

const listed = (entries: readonly PushEntry[]): PushEntry[] => {
  const { path, mode, size, mtimeSec, mtimeNsec, uid, gid } = entry('gocryptfs.diriv');
  const diriv = { path, mode, size, mtimeSec, mtimeNsec, uid, gid };
  const root = entry('.', { mode: S_IFDIR | 0o755 });
  return [root, { ...diriv, virtual: 'diriv' as const }, ...[...entries].sort(compareFlist)];
};
const text = (paths: readonly { path: Uint8Array }[]): string[] =>
  paths.map(({ path }) => Buffer.from(path).toString()).sort();

const FOLDER = { mode: S_IFDIR | 0o755 };

/** A tree as a map from path to inode; names of folders are in capitals. */
const treeArb = fc
  .dictionary(
    fc
      .array(fc.constantFrom('A', 'B', 'C', 'f', 'g', 'h', 'fg'), { minLength: 1, maxLength: 3 })
      .filter((names) => names.slice(0, -1).every((name) => name < 'a'))
      .map((names) => names.join('/')),
    fc.nat(5),
  )
  .map((tree) => {
    const entries = new Map<string, number>();
    for (const [path, ino] of Object.entries(tree)) {
      const parts = path.split('/');
      for (let n = 1; n < parts.length; n++) entries.set(parts.slice(0, n).join('/'), 0);
      entries.set(path, ino);
    }
    return entries;
  });

const entriesOf = (tree: ReadonlyMap<string, number>): PushEntry[] =>
  [...tree].map(([path, ino]) =>
    entry(path, { ino, mode: /[A-Z]$/.test(path) ? S_IFDIR | 0o755 : S_IFREG | 0o644 }),
  );

describe('locations', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(treeArb, (tree) => {
        const entries = listed(entriesOf(tree));
        const bytes = encodeLocations(entries);
        const read = [...readLocations(bytes)];
        const written = entries.slice(2).map(({ plain }) => plain);
        expect(read.map((one) => ({ ...one, path: Buffer.from(one.path).toString() }))).toEqual(
          written.map((plain) => ({
            path: Buffer.from(plain?.path ?? []).toString(),
            mode: plain?.mode,
            dev: 0, // the device of the root
            ino: plain?.ino,
            birthtimeMs: 1.5,
            size: 10,
            mtimeSec: 5,
            mtimeNsec: 7,
          })),
        );
        expect(encodeLocations(entries).equals(bytes)).toBe(true);
        expect(digestLocations(entries)).toEqual(createHash('sha256').update(bytes).digest());
      }),
    );
  });

  it('have a digest however many they are', () => {
    const many = Array.from({ length: 3000 }, (_, i) => entry(`file ${String(i)}`, { ino: i }));
    const entries = listed(many);
    const whole = createHash('sha256').update(encodeLocations(entries)).digest();
    expect(digestLocations(entries)).toEqual(whole);
  });

  it('tell what is gone, what is new and what was replaced', () => {
    fc.assert(
      fc.property(treeArb, treeArb, (before, after) => {
        const stored = encodeLocations(listed(entriesOf(before)));
        const { gone, fresh } = compareLocations(stored, listed(entriesOf(after)), view);
        const changed = (
          a: ReadonlyMap<string, number>,
          b: ReadonlyMap<string, number>,
        ): string[] => [...a].filter(([path, ino]) => b.get(path) !== ino).map(([path]) => path);
        expect(text(gone)).toEqual(changed(before, after).sort());
        const plains = fresh.map((one) => one.entry.plain);
        expect(text(plains)).toEqual(changed(after, before).sort());
        for (const { entry: now, replaced } of fresh) {
          const path = Buffer.from(now.plain.path).toString();
          expect(replaced !== undefined).toBe(before.has(path));
        }
      }),
    );
  });

  it('tell which files have another size or second, and how many there were', () => {
    const before = [entry('a'), entry('b'), entry('c'), entry('gone'), entry('D', FOLDER)];
    const after = [
      entry('a'),
      entry('b', { mtimeSec: 6 }),
      { ...entry('c', { ino: 9 }), size: 11 },
      entry('new', { mtimeSec: 6 }),
      entry('D', { ...FOLDER, mtimeSec: 6 }),
    ];
    const { changed, filesBefore } = compareLocations(
      encodeLocations(listed(before)),
      listed(after),
      view,
    );
    expect(text(changed.map(({ plain, path }) => plain ?? { path }))).toEqual(['b', 'c']);
    expect(filesBefore).toBe(4);
  });

  it('refuse what is damaged, and take another version for nothing', () => {
    const stored = encodeLocations(listed([entry('a'), entry('ab', { ino: 2 })]));
    for (let length = 5; length < stored.length; length++) {
      const seen: Uint8Array[] = [];
      try {
        for (const { path } of readLocations(stored.subarray(0, length))) seen.push(path);
      } catch (error) {
        expect(error).toMatchObject({ code: 'memory-damaged' });
      }
      expect(seen.length).toBeLessThan(2);
    }
    const other = Buffer.from(stored);
    other.writeUInt32LE(2, 0);
    expect([...readLocations(other)]).toEqual([]);
  });
});
