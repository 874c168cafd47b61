// Goal: a sealed list comes back as it was, has one form however it was made, and a change of it concerns few chunks.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editSealedList, type SealedEdit } from '../../src/seal/list-edit.ts';
import { findSealed, sealedDifferences, sealedObjects } from '../../src/seal/list-reader.ts';
import { compareSealedPaths, type SealedObject } from '../../src/seal/sealed-object.ts';
import { Random } from '../support/random-tree.ts';
import { anyList, ChunkShelf, inOrder, manyFiles, plainFile } from './sealed-lists.ts';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

function keyOf({ path }: Pick<SealedObject, 'path'>): string {
  return Buffer.from(path).toString('latin1');
}

/** Buffers and arrays of bytes as the same. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => {
    if (one instanceof Uint8Array) return Buffer.from(one).toString('hex');
    const isBuffer = typeof one === 'object' && one !== null && 'data' in one && 'type' in one;
    return isBuffer ? Buffer.from(one.data as number[]).toString('hex') : sorted(one);
  });
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function edited(objects: readonly SealedObject[], edits: readonly SealedEdit[]): SealedObject[] {
  const changed = new Map(edits.map((edit) => [keyOf(edit), edit.object]));
  const kept = objects.filter((object) => !changed.has(keyOf(object)));
  return inOrder([...kept, ...[...changed.values()].filter((one) => one !== undefined)]);
}

/** Random edits of a list: removed, replaced and new objects. */
function someEdits(objects: readonly SealedObject[], count: number, random: Random): SealedEdit[] {
  const edits = new Map<string, SealedEdit>();
  for (let i = 0; i < count; i++) {
    const at = objects[random.below(objects.length)];
    const isNew = at === undefined || random.oneIn(3);
    const name = isNew ? `d${random.below(500)}/new ${random.below(1000)}` : keyOf(at);
    const path = Buffer.from(name, 'latin1');
    const object = random.oneIn(3) && !isNew ? undefined : plainFile(name, random.below(1e6));
    edits.set(name, { path, object });
  }
  return [...edits.values()].sort((a, b) => compareSealedPaths(a.path, b.path));
}

describe('a list', () => {
  it('comes back as it was', async () => {
    await fc.assert(
      fc.asyncProperty(anyList, async (objects) => {
        const shelf = new ChunkShelf();
        const { root, objects: count } = shelf.store(objects);
        expect(count).toBe(objects.length);
        expect(shown(await all(sealedObjects(root, shelf.fetch)))).toBe(shown(objects));
        for (const object of objects) {
          expect(shown(await findSealed(root, object.path, shelf.fetch))).toBe(shown(object));
        }
        const missing = Buffer.from('no such path/at all');
        expect(await findSealed(root, missing, shelf.fetch)).toBe(undefined);
      }),
    );
  });

  it.each([0, 1, 255, 5000, 60_000])('of %i files is found by its root', async (count) => {
    const shelf = new ChunkShelf();
    const files = manyFiles(count);
    const { root } = shelf.store(files);
    const read = await all(sealedObjects(root, shelf.fetch));
    expect(read.map(keyOf)).toEqual(files.map(keyOf));
    shelf.fetched.length = 0;
    const one = files[Math.floor(count / 2)];
    if (one === undefined) return;
    expect(shown(await findSealed(root, one.path, shelf.fetch))).toBe(shown(one));
    expect(shelf.fetched.length).toBeLessThanOrEqual(3);
  });

  it('a folder comes right before what is in it', () => {
    const paths = ['', 'a', 'a/b', 'a/b/c', 'a!', 'a.', 'a0', 'ab', 'b'];
    const shuffled = [...paths].reverse().map((path) => Buffer.from(path));
    expect(shuffled.sort(compareSealedPaths).map(String)).toEqual(paths);
  });

  it('out of order is refused', () => {
    const builder = new ChunkShelf().builder();
    builder.add(plainFile('b'));
    expect(() => builder.add(plainFile('a'))).toThrow('not in order');
    expect(() => builder.add(plainFile('b'))).toThrow('not in order');
  });
});

describe('an edited list', () => {
  it.each([
    [0, 5],
    [1, 1],
    [300, 40],
    [3000, 1],
    [3000, 300],
    [60_000, 3],
    [60_000, 2000],
  ])('of %i files with %i edits has the form of one that was made anew', async (size, count) => {
    for (let seed = 1; seed <= (size > 10_000 ? 1 : 10); seed++) {
      const random = new Random(seed);
      const shelf = new ChunkShelf();
      const before = manyFiles(size);
      const old = shelf.store(before);
      const edits = someEdits(before, count, random);
      const builder = shelf.builder();
      await editSealedList(old.root, edits, { builder, fetch: shelf.fetch });
      const after = builder.finish();
      const anew = new ChunkShelf().store(edited(before, edits));
      expect([shown(after.root), after.objects], `seed ${seed}`).toEqual([
        shown(anew.root),
        anew.objects,
      ]);
    }
  });

  it('with one changed file takes few chunks to read and to write', async () => {
    const shelf = new ChunkShelf();
    const before = manyFiles(60_000);
    const { root } = shelf.store(before);
    shelf.fetched.length = 0;
    const made: string[] = [];
    const builder = shelf.builder(made);
    const object = plainFile('d300/file 30001', 7);
    const edits = [{ path: object.path, object }];
    await editSealedList(root, edits, { builder, fetch: shelf.fetch });
    builder.finish();
    // A leaf, and those above it; the last leaf and node are looked at, because they may end anywhere.
    expect([shelf.fetched.length, made.length]).toEqual([
      expect.toSatisfy((n: number) => n <= 6),
      expect.toSatisfy((n: number) => n <= 5),
    ]);
  });

  it('all objects may go', async () => {
    const shelf = new ChunkShelf();
    const before = manyFiles(2000);
    const { root } = shelf.store(before);
    const builder = shelf.builder();
    const edits = before.map(({ path }) => ({ path, object: undefined }));
    await editSealedList(root, edits, { builder, fetch: shelf.fetch });
    expect(builder.finish()).toEqual({ root: undefined, objects: 0 });
  });
});

describe('what differs between two lists', () => {
  it.each([
    [300, 40],
    [5000, 20],
    [60_000, 10],
  ])('of %i files after %i edits is found', async (size, count) => {
    for (let seed = 1; seed <= (size > 10_000 ? 1 : 8); seed++) {
      const shelf = new ChunkShelf();
      const before = manyFiles(size);
      const edits = someEdits(before, count, new Random(seed));
      const after = edited(before, edits);
      const [a, b] = [shelf.store(before).root, shelf.store(after).root];
      shelf.fetched.length = 0;
      const found = await all(sealedDifferences(a, b, shelf.fetch));
      const [old, now] = [
        new Map(before.map((o) => [keyOf(o), o])),
        new Map(after.map((o) => [keyOf(o), o])),
      ];
      const expected = edits
        .map((edit) => ({
          path: edit.path,
          before: old.get(keyOf(edit)),
          after: now.get(keyOf(edit)),
        }))
        .filter((one) => shown(one.before) !== shown(one.after));
      expect(found.map(shown)).toEqual(expected.map(shown));
      if (size > 10_000) expect(shelf.fetched.length).toBeLessThan(count * 8 + 12);
    }
  });

  it('of any two lists is what the two have', async () => {
    await fc.assert(
      fc.asyncProperty(anyList, anyList, async (before, after) => {
        const shelf = new ChunkShelf();
        const roots = [shelf.store(before).root, shelf.store(after).root] as const;
        const found = await all(sealedDifferences(...roots, shelf.fetch));
        const old = new Map(before.map((o) => [keyOf(o), o]));
        const now = new Map(after.map((o) => [keyOf(o), o]));
        const keys = [...new Set([...old.keys(), ...now.keys()])];
        const expected = keys
          .filter((key) => shown(old.get(key)) !== shown(now.get(key)))
          .map((key) => ({
            path: Buffer.from(key, 'latin1'),
            before: old.get(key),
            after: now.get(key),
          }))
          .sort((a, b) => compareSealedPaths(a.path, b.path));
        expect(found.map(shown)).toEqual(expected.map(shown));
      }),
    );
  });
});
