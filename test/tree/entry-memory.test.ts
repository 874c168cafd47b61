// Goal: the memory of entries returns what was stored, whatever else was stored in between.
// Method: properties over lists of paths, and paths larger than a slab.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EntryMemory, type Slab } from '../../src/tree/entry-memory.ts';

const FIELDS_LENGTH = 5;

interface Kept {
  readonly slab: Slab;
  readonly at: number;
}

function add(memory: EntryMemory, path: string, mark: number): Kept {
  const at = memory.add(Buffer.from(path), FIELDS_LENGTH);
  const { slab } = memory;
  slab.bytes.fill(mark, at, at + FIELDS_LENGTH);
  return { slab, at };
}

function expectKept({ slab, at }: Kept, path: string, mark: number): void {
  expect([...slab.bytes.subarray(at, at + FIELDS_LENGTH)]).toEqual(Array(FIELDS_LENGTH).fill(mark));
  expect(Buffer.from(slab.path(at + FIELDS_LENGTH)).toString()).toBe(path);
}

describe('memory for entries', () => {
  it('returns fields and paths in any order', () => {
    const name = fc.constantFrom('a', 'ab', 'b', 'c'.repeat(255), 'é');
    const path = fc.array(name, { minLength: 1, maxLength: 6 }).map((names) => names.join('/'));
    fc.assert(
      fc.property(fc.array(path, { maxLength: 300 }), (paths) => {
        const memory = new EntryMemory();
        const kept = paths.map((one, i) => add(memory, one, i % 256));
        for (const [i, one] of kept.entries()) expectKept(one, paths[i] ?? '', i % 256);
      }),
    );
  });

  it('continues in another slab when one is full', () => {
    const memory = new EntryMemory();
    const paths = Array.from({ length: 5000 }, (_, i) => `folder ${Math.floor(i / 999)}/file ${i}`);
    const kept = paths.map((path) => add(memory, path, 7));
    expect(new Set(kept.map(({ slab }) => slab)).size).toBeGreaterThan(1);
    for (const [i, one] of kept.entries()) expectKept(one, paths[i] ?? '', 7);
  });

  it('holds paths that are larger than a slab', () => {
    const memory = new EntryMemory();
    const deep = `${'d'.repeat(250)}/`.repeat(400);
    const paths = ['a', `${deep}x`, `${deep}y`, 'b', `${deep}z`];
    const kept = paths.map((path, i) => add(memory, path, i));
    for (const [i, one] of kept.entries()) expectKept(one, paths[i] ?? '', i);
  });

  it('copies its input, and returns fresh copies', () => {
    const memory = new EntryMemory();
    const given = Buffer.from('a/b');
    const at = memory.add(given, 0);
    given.fill(0);
    memory.slab.path(at).fill(0);
    expect(Buffer.from(memory.slab.path(at)).toString()).toBe('a/b');
  });
});
