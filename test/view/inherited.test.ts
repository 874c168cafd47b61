// The properties of an adopted copy, stored and read back, and how the view uses them.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EcsyncError } from '../../src/errors.ts';
import { InheritedIndex } from '../../src/view/inherited.ts';

const KINDS = ['diriv', 'name'] as const;

const paths = fc.uint8Array({ minLength: 1, maxLength: 40 });
const attributes = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtimeSec: fc.maxSafeInteger(),
  mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
});
const facts = fc.array(
  fc.record(
    {
      path: paths,
      dirIV: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      target: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      diriv: attributes,
      name: attributes,
    },
    { requiredKeys: ['path'] },
  ),
  { maxLength: 30 },
);
type Facts = typeof facts extends fc.Arbitrary<infer T> ? T : never;

function indexOf(all: Facts): InheritedIndex {
  const index = new InheritedIndex();
  for (const { path, dirIV, target, ...rest } of all) {
    if (dirIV !== undefined) index.setDirIV(path, dirIV);
    if (target !== undefined) index.setTarget(path, target);
    for (const kind of KINDS) {
      const given = rest[kind];
      if (given !== undefined) index.setVirtualAttributes(kind, path, given);
    }
  }
  return index;
}

function factsOf(index: InheritedIndex, all: Facts): unknown[] {
  return all.map(({ path }) => [
    index.dirIV(path),
    index.target(path),
    ...KINDS.map((kind) => index.virtualAttributes(kind, path)),
  ]);
}

function codeOf(bytes: Uint8Array): string {
  try {
    InheritedIndex.decode(bytes);
    return 'decoded';
  } catch (error) {
    if (!(error instanceof EcsyncError)) throw error;
    return error.code;
  }
}

/** Bytes with a checksum that fits, as an attacker could make them. */
function sealed(body: Uint8Array): Buffer {
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

describe('InheritedIndex', () => {
  test('is decoded unchanged, and gives the same bytes in any order', () => {
    fc.assert(
      fc.property(facts, (all) => {
        const index = indexOf(all);
        const bytes = index.encode();
        const decoded = InheritedIndex.decode(bytes);
        expect(decoded.size).toBe(index.size);
        expect(factsOf(decoded, all)).toEqual(factsOf(index, all));
        expect(decoded.encode()).toEqual(bytes);
        const distinct = new Set(all.map(({ path }) => Buffer.from(path).toString('latin1')));
        if (distinct.size === all.length) {
          expect(indexOf([...all].reverse()).encode()).toEqual(bytes);
        }
      }),
    );
  });

  test('has known bytes', () => {
    const index = new InheritedIndex();
    index.setDirIV(Buffer.from('.'), Buffer.alloc(16, 0xd1));
    index.setVirtualAttributes('diriv', Buffer.from('.'), {
      mode: 0o100440,
      mtimeSec: -2,
      mtimeNsec: 3,
    });
    index.setTarget(Buffer.from('a'), Buffer.from('T'));
    const body = Buffer.concat([
      Buffer.from('ecsync adopted\0'),
      Buffer.from([1, 2, 0, 0, 0]),
      Buffer.from([5, 1, 0, 0x2e]),
      Buffer.alloc(16, 0xd1),
      Buffer.from([0x20, 0x01, 0xfe, 255, 255, 255, 255, 255, 255, 255, 3, 0, 0, 0]),
      Buffer.from([2, 1, 0, 0x61, 1, 0, 0x54]),
    ]);
    expect(index.encode()).toEqual(sealed(body));
  });

  test('has nothing for unknown paths, and accepts equal IVs', () => {
    const index = new InheritedIndex();
    index.setDirIV(Buffer.from('a'), Buffer.alloc(16, 1));
    index.setDirIV(Buffer.from('b'), Buffer.alloc(16, 1));
    expect(index.dirIV(Buffer.from('c'))).toBeUndefined();
    expect(index.target(Buffer.from('a'))).toBeUndefined();
    expect(index.virtualAttributes('diriv', Buffer.from('a'))).toBeUndefined();
    expect(index.dirIV(Buffer.from('b'))).toEqual(Buffer.alloc(16, 1));
  });

  test('refuses every shortened or changed version of its bytes', () => {
    const index = new InheritedIndex();
    index.setDirIV(Buffer.from('dir'), Buffer.alloc(16, 7));
    index.setTarget(Buffer.from('link'), Buffer.from('target'));
    const bytes = index.encode();
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(bytes.subarray(0, length)), `${length} bytes`).toBe('adopted-invalid');
    }
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(codeOf(changed), `byte ${at}`).toBe('adopted-invalid');
    }
    expect(codeOf(bytes)).toBe('decoded');
  });

  test.each([
    { what: 'a later version', tail: [2, 0, 0, 0, 0] },
    { what: 'more records than there are', tail: [1, 1, 0, 0, 0] },
    { what: 'billions of records', tail: [1, 255, 255, 255, 255] },
    { what: 'unknown parts', tail: [1, 1, 0, 0, 0, 0x10, 1, 0, 0x61] },
    { what: 'an empty path', tail: [1, 1, 0, 0, 0, 0, 0, 0] },
    { what: 'an endless path', tail: [1, 1, 0, 0, 0, 0, 255, 255, 0x61] },
    { what: 'an empty target', tail: [1, 1, 0, 0, 0, 2, 1, 0, 0x61, 0, 0] },
    { what: 'bytes after the last record', tail: [1, 0, 0, 0, 0, 9] },
    {
      what: 'too many nanoseconds',
      tail: [1, 1, 0, 0, 0, 4, 1, 0, 0x61, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255],
    },
    {
      what: 'seconds beyond all numbers',
      tail: [
        1, 1, 0, 0, 0, 4, 1, 0, 0x61, 0, 0, 255, 255, 255, 255, 255, 255, 255, 127, 0, 0, 0, 0,
      ],
    },
  ])('refuses $what even under a checksum that fits', ({ tail }) => {
    const bytes = sealed(Buffer.concat([Buffer.from('ecsync adopted\0'), Buffer.from(tail)]));
    expect(codeOf(bytes)).toBe('adopted-invalid');
  });

  test.each([
    (index: InheritedIndex) => index.setDirIV(Buffer.from('a'), Buffer.alloc(15)),
    (index: InheritedIndex) => index.setTarget(Buffer.from('a'), Buffer.alloc(0)),
    (index: InheritedIndex) => index.setTarget(Buffer.alloc(0), Buffer.alloc(1)),
  ])('takes nothing that it could not write', (set) => {
    expect(() => set(new InheritedIndex())).toThrow(
      expect.objectContaining({ code: 'invariant' }) as Error,
    );
  });
});
