// Goal: `find` finds what its tests say, each alone and all together.
import { describe, expect, it } from 'vitest';
import { assertFile, readOut } from '../../../src/sync/browse/browse.ts';
import { findTest, type FindTests } from '../../../src/sync/browse/find-test.ts';
import { pickSample } from '../../../src/sync/browse/sample.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, type Entry } from '../../../src/tree/entry.ts';
import { BytesFile } from '../../../src/view/encrypt/cipher-file.ts';

function entryOf(path: string, changes: Partial<Entry> = {}): Entry {
  const common = { mode: S_IFREG, size: 100, mtimeSec: 1000, mtimeNsec: 0, uid: 0, gid: 0 };
  return { path: Buffer.from(path), ...common, ...changes };
}

const ENTRIES = [
  entryOf('a.txt'),
  entryOf('docs', { mode: S_IFDIR, size: 4096 }),
  entryOf('docs/A.TXT', { size: 0 }),
  entryOf('docs/deep/b.txt', { size: 5000, mtimeSec: 2000, mtimeNsec: 500_000_000 }),
  entryOf('docs/link', { mode: S_IFLNK }),
  entryOf('docs/pipe', { mode: S_IFIFO, mtimeSec: -5 }),
];
const found = (tests: FindTests): string[] =>
  ENTRIES.filter(findTest(tests)).map(({ path }) => Buffer.from(path).toString());
const pattern = (text: string): FindTests => ({ pattern: Buffer.from(text) });

describe('what is looked for', () => {
  it.each([
    [{}, ENTRIES.map(({ path }) => Buffer.from(path).toString())],
    [pattern('*.txt'), ['a.txt', 'docs/deep/b.txt']],
    [{ ...pattern('*.txt'), ignoreCase: true }, ['a.txt', 'docs/A.TXT', 'docs/deep/b.txt']],
    [pattern('/a*'), ['a.txt']],
    [pattern('docs/*'), ['docs/A.TXT', 'docs/link', 'docs/pipe']],
    [pattern('docs/**.txt'), ['docs/deep/b.txt']],
    [pattern('[ab].txt'), ['a.txt', 'docs/deep/b.txt']],
    [{ kinds: ['d', 'l'] }, ['docs', 'docs/link']],
    [{ kinds: ['s'] }, ['docs/pipe']],
    [{ sizeMin: 100 }, ['a.txt', 'docs/deep/b.txt']],
    [{ sizeMax: 100 }, ['a.txt', 'docs/A.TXT']],
    [{ sizeMin: 1, sizeMax: 4999 }, ['a.txt']],
    [{ newerThanMs: 2_000_499 }, ['docs/deep/b.txt']],
    [{ newerThanMs: 2_000_500 }, []],
    [{ olderThanMs: 0 }, ['docs/pipe']],
    [{ ...pattern('*.txt'), kinds: ['f'], sizeMin: 101 }, ['docs/deep/b.txt']],
  ] as const)('%o', (tests, expected) => {
    expect(found(tests)).toEqual(expected);
  });
});

describe('what a path led to', () => {
  it('is a file only when it is one', () => {
    const path = Buffer.from('x');
    expect(() => assertFile(undefined, path)).toThrow('leads to nothing');
    expect(() => assertFile(entryOf('d', { mode: S_IFDIR }), path)).toThrow('is a folder');
    expect(assertFile(entryOf('f'), path).size).toBe(100);
  });
});

describe('a part of a file', () => {
  const bytes = Buffer.alloc(1_000_003).map((_, at) => at % 251);
  it.each([
    [0, 1_000_003],
    [0, Number.MAX_SAFE_INTEGER],
    [4095, 4097],
    [999_999, 2_000_000],
    [2_000_000, 3_000_000],
    [300_000, 300_000],
  ])('from %i to before %i is that part', async (offset, end) => {
    const pieces: Buffer[] = [];
    await readOut(new BytesFile(bytes), { offset, end }, (piece) => {
      pieces.push(Buffer.from(piece));
      return Promise.resolve(true);
    });
    expect(Buffer.concat(pieces).equals(bytes.subarray(offset, end))).toBe(true);
  });

  it('ends when nobody wants more', async () => {
    let pieces = 0;
    await readOut(new BytesFile(bytes), { offset: 0, end: Infinity }, () => {
      pieces += 1;
      return Promise.resolve(false);
    });
    expect(pieces).toBe(1);
  });
});

describe('a sample', () => {
  const paths = Array.from({ length: 10_000 }, (_, i) => Buffer.from(`file ${i}`));
  it('is about the share that was asked for, and the same again for the same seed', () => {
    const { seed, isIn } = pickSample(0.05);
    const picked = paths.filter(isIn);
    expect(picked.length).toBeGreaterThan(350);
    expect(picked.length).toBeLessThan(650);
    expect(paths.filter(pickSample(0.05, seed).isIn)).toEqual(picked);
    expect(paths.filter(pickSample(0.05, 'other').isIn)).not.toEqual(picked);
    expect(paths.every(pickSample(1).isIn)).toBe(true);
  });
});
