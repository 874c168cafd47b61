import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S_IFREG } from '../../../../src/tree/entry.ts';
import {
  assignBirths,
  decodeBirths,
  encodeBirths,
  withGone,
  type BirthRecord,
} from '../../../../src/sync/push/memory/births.ts';
import type { PushEntry } from '../../../../src/sync/push/source/push-entry.ts';

const bytes = (from: string): Buffer => Buffer.from(from);
const text = (path: Uint8Array): string => Buffer.from(path).toString();

function file(
  path: string,
  ino: number,
  more: { nlink?: number; birthtimeMs?: number; linkGroup?: number } = {},
): PushEntry {
  const { nlink = 1, birthtimeMs = ino + 0.5, linkGroup } = more;
  const common = {
    path: bytes(path),
    mode: S_IFREG | 0o644,
    size: 10,
    mtimeSec: 0,
    mtimeNsec: 0,
    uid: 0,
    gid: 0,
    ...(linkGroup !== undefined && { linkGroup }),
  };
  return { ...common, plain: { ...common, dev: 1, ino, nlink, ctimeMs: 0, birthtimeMs } };
}

function record(path: string, ino: number, born: string, counter = 0): BirthRecord {
  const birth = { path: bytes(born), counter };
  return { path: bytes(path), dev: 1, ino, birthtimeMs: ino + 0.5, birth };
}

/** Births as text: `path=birth#counter`. */
function assigned(
  before: readonly BirthRecord[],
  entries: readonly PushEntry[],
  moved: Readonly<Record<string, string>> = {},
  isStillThere = false,
): string[] {
  const origins = new Map<PushEntry, Uint8Array>();
  for (const entry of entries) {
    const origin = moved[Buffer.from(entry.path).toString()];
    if (origin !== undefined) origins.set(entry, bytes(origin));
  }
  const { records } = assignBirths({ before, entries, origins, isStillThere: () => isStillThere });
  return records.map(
    ({ path, birth }) =>
      `${Buffer.from(path).toString()}=${Buffer.from(birth.path).toString()}#${birth.counter}`,
  );
}

describe('births', () => {
  it('of two names of one file are those of the names, also when one of them or both are gone', () => {
    const linked = { nlink: 2 };
    const names = ['linked=linked#0', 'p=q#0'];
    const before = [record('p', 1, 'q')];
    expect(assigned(before, [file('linked', 1, linked), file('p', 1, linked)])).toEqual(names);
    const both = [record('linked', 1, 'linked'), record('p', 1, 'q')];
    expect(assigned(both, [file('linked', 1, linked), file('p', 1, linked)])).toEqual(names);
    expect(assigned(both, [file('linked', 1)])).toEqual([]);
    expect(assigned(both, [file('p', 1)])).toEqual(['p=q#0']);
    expect(assigned(both, [file('new', 1)], { new: 'linked' })).toEqual(['new=linked#0']);
    expect(assigned(both, [file('new', 1)], { new: 'p' })).toEqual(['new=q#0']);
  });

  it('of names that are kept together are one, whichever of them goes or comes first', () => {
    const together = { nlink: 2, linkGroup: 1 };
    const both = [file('one', 1, together), file('two', 1, together)];
    expect(assigned([], both)).toEqual(['two=one#0']);
    const before = [record('two', 1, 'one')];
    expect(assigned(before, both)).toEqual(['two=one#0']);
    expect(assigned(before, [file('two', 1)])).toEqual(['two=one#0']);
    expect(assigned(before, [file('first', 1, together), file('two', 1, together)])).toEqual([
      'first=one#0',
      'two=one#0',
    ]);
    expect(assigned(before, [file('x', 1, together), file('y', 1, together)])).toEqual([
      'x=one#0',
      'y=one#0',
    ]);
  });

  it('of names that are files of their own again are told apart, and one of them is sent again', () => {
    const before = [record('two', 1, 'one')];
    const entries = [file('one', 7), file('two', 1)];
    const found = assignBirths({
      before,
      entries,
      origins: new Map(),
      isStillThere: () => false,
    });
    const shown = found.records.map(({ path, birth }) => [
      text(path),
      text(birth.path),
      birth.counter,
    ]);
    expect(shown).toEqual([
      ['one', 'one', 1],
      ['two', 'one', 0],
    ]);
    expect(found.reborn.map(({ path }) => text(path))).toEqual(['one']);
    const next = { before: found.records, entries, origins: new Map(), isStillThere: () => false };
    expect(assignBirths(next).reborn).toEqual([]);
  });

  it('come along with a file that moves, and moves again', () => {
    expect(assigned([], [file('new', 1)], { new: 'old' })).toEqual(['new=old#0']);
    const before = [record('new', 1, 'old')];
    expect(assigned(before, [file('newer', 1)])).toEqual(['newer=old#0']);
    expect(assigned(before, [file('newer', 1)], { newer: 'new' })).toEqual(['newer=old#0']);
  });

  it('are forgotten when a file is back, or gone', () => {
    const before = [record('new', 1, 'old')];
    expect(assigned(before, [file('old', 1)], { old: 'new' })).toEqual([]);
    expect(assigned(before, [])).toEqual([]);
    expect(assigned(before, [], {}, true)).toEqual(['new=old#0']);
  });

  it('of files that have gone are kept as long as a destination may have those', () => {
    const before = [record('new', 1, 'old'), record('other', 2, 'was')];
    const nothing = { before, origins: new Map(), isStillThere: () => false };
    const entries = [file('old', 9)];
    const found = assignBirths({ ...nothing, entries });
    const shown = (records: readonly BirthRecord[]): string[] =>
      records.map(({ path, birth }) => `${text(path)}=${text(birth.path)}#${birth.counter}`);
    expect(shown(found.records)).toEqual(['old=old#1']);
    expect(shown(withGone(found, () => false))).toEqual(['old=old#1']);
    const held = withGone(found, (path) => text(path) === 'new');
    expect(shown(held)).toEqual(['new=old#0', 'old=old#1']);
    // It is back, and what the destination has of it is right.
    const back = assignBirths({
      ...nothing,
      before: held,
      entries: [file('new', 1), file('old', 9)],
    });
    expect(shown(back.records)).toEqual(['new=old#0', 'old=old#1']);
  });

  it('take the next counter where one is in use', () => {
    const both = [file('new', 1), file('old', 2)];
    expect(assigned([], both, { new: 'old' })).toEqual(['new=old#0', 'old=old#1']);
    const before = [record('new', 1, 'old'), record('old', 2, 'old', 1)];
    expect(assigned(before, both)).toEqual(['new=old#0', 'old=old#1']);
    const third = [file('new', 1), file('next', 2), file('old', 3)];
    expect(assigned(before, third, { next: 'old' })).toEqual([
      'new=old#0',
      'next=old#1',
      'old=old#2',
    ]);
    expect(assigned([record('hidden', 1, 'old')], [file('old', 2)], {}, true)).toEqual([
      'hidden=old#0',
      'old=old#1',
    ]);
  });

  it('stay with a path whose file is replaced', () => {
    const before = [record('new', 1, 'old')];
    expect(assigned(before, [file('new', 9)])).toEqual(['new=old#0']);
    // A number that was given away again, to another file.
    expect(assigned(before, [file('x', 1, { birthtimeMs: 7 }), file('new', 9)])).toEqual([
      'new=old#0',
    ]);
  });

  it('belong to names where a file has several', () => {
    const before = [record('b', 1, 'old')];
    const names = [file('a', 1, { nlink: 2 }), file('b', 1, { nlink: 2 })];
    expect(assigned(before, names)).toEqual(['a=a#0', 'b=old#0']);
    const moved = [file('a', 1, { nlink: 2 }), file('c', 1, { nlink: 2 })];
    expect(assigned(before, moved, { c: 'b' })).toEqual(['a=a#0', 'c=old#0']);
  });

  it('are never given twice', () => {
    const pathArb = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const recordArb = fc.record({
      path: pathArb,
      ino: fc.integer({ min: 1, max: 6 }),
      born: pathArb,
      counter: fc.nat(2),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(recordArb, { selector: ({ path }) => path }),
        fc.uniqueArray(fc.tuple(pathArb, fc.integer({ min: 1, max: 6 })), {
          selector: ([path]) => path,
        }),
        fc.dictionary(pathArb, pathArb),
        fc.boolean(),
        (remembered, present, moved, isStillThere) => {
          const isTaken = new Set<string>();
          const before = remembered
            .filter(({ born, counter }) => {
              const key = `${born}#${counter}`;
              return !isTaken.has(key) && isTaken.add(key).size > 0;
            })
            .map(({ path, ino, born, counter }) => record(path, ino, born, counter));
          const entries = present.map(([path, ino]) => file(path, ino));
          const found = assigned(before, entries, moved, isStillThere);
          const births = new Map(found.map((text) => text.split('=') as [string, string]));
          for (const [path] of present) if (!births.has(path)) births.set(path, `${path}#0`);
          expect(new Set(births.values()).size).toBe(births.size);
          expect(births.size).toBeGreaterThanOrEqual(present.length);
        },
      ),
    );
  });

  it('are read as they were written, and damaged ones are none', () => {
    const path = fc.uint8Array({ minLength: 1, maxLength: 300 });
    const birthtimeMs = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0);
    const record = fc.record({
      path,
      dev: fc.maxSafeNat(),
      ino: fc.maxSafeNat(),
      birthtimeMs,
      birth: fc.record({ path, counter: fc.nat() }),
    });
    fc.assert(
      fc.property(fc.array(record), fc.nat(), (records, cut) => {
        const encoded = encodeBirths(records);
        const plain = (list: readonly BirthRecord[]): unknown =>
          list.map(({ path: at, birth, ...rest }) => [
            Buffer.from(at).toString('hex'),
            Buffer.from(birth.path).toString('hex'),
            birth.counter,
            rest,
          ]);
        expect(plain(decodeBirths(encoded))).toEqual(plain(records));
        const part = encoded.subarray(0, cut % encoded.length);
        expect(decodeBirths(part).length).toBeLessThanOrEqual(records.length);
      }),
    );
    expect(decodeBirths(undefined)).toEqual([]);
    expect(decodeBirths(Buffer.from('rubbish of some length'))).toEqual([]);
  });
});
