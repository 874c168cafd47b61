// Holes of sparse files: reading returns what was written, from any offset; every way of reading
// detects a hole that someone made, moved, lengthened or filled.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flagsOfLayout, type FeatureFlag } from '../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../src/gocryptfs/layout.ts';
import { BytesFile, CipherFile } from '../../src/view/encrypt/cipher-file.ts';
import type { HoleRule } from '../../src/view/hole-rule.ts';
import { PlainFile } from '../../src/view/decrypt/plain-file.ts';

const identity = { fileID: Buffer.alloc(16, 5) };
const layoutOf = (flags: readonly FeatureFlag[]) =>
  openLayout({ flags: new Set(flags), longNameMax: 255 }, Buffer.alloc(32, 3));
const LAYOUTS = {
  gcm: layoutOf(flagsOfLayout({ layout: 'gcm' })),
  xchacha: layoutOf(flagsOfLayout({ layout: 'xchacha' })),
  siv: layoutOf(flagsOfLayout({ layout: 'reverse' })),
};
type Name = keyof typeof LAYOUTS;

/** A file of blocks: a digit is content, a dot zeros; the last block is cut to a length. */
function fileOf(blocks: string, last = 4096): Buffer {
  const plain = Buffer.alloc(blocks.length * 4096);
  blocks.split('').forEach((kind, index) => {
    if (kind !== '.') plain.fill(kind, index * 4096, (index + 1) * 4096);
  });
  return plain.subarray(0, plain.length - 4096 + last);
}

function encrypting(plain: Buffer, name: Name, isSparse = true): CipherFile {
  const source = { plain: new BytesFile(plain), identity, isSparse };
  return CipherFile.over(source, LAYOUTS[name].content);
}

async function encrypt(plain: Buffer, name: Name = 'gcm', isSparse = true): Promise<Buffer> {
  const file = encrypting(plain, name, isSparse);
  return Buffer.from(await file.read(0, file.size));
}

function stepOf(name: Name): number {
  return 4096 + LAYOUTS[name].content.overhead;
}

/** A digit for each block that is stored with content, a dot for each that is a hole. */
function stored(cipher: Buffer, name: Name = 'gcm'): string {
  let shown = '';
  for (let at = 18; at < cipher.length; at += stepOf(name)) {
    shown += cipher.subarray(at, at + stepOf(name)).every((byte) => byte === 0) ? '.' : '#';
  }
  return shown;
}

function opened(cipher: Buffer, holes: HoleRule, name: Name = 'gcm'): PlainFile {
  const path = Buffer.from('file');
  return new PlainFile(new BytesFile(cipher), LAYOUTS[name].content, { path, holes });
}

async function inspected(cipher: Buffer, holes: HoleRule = 'strict'): Promise<string[]> {
  const found: string[] = [];
  await opened(cipher, holes).inspect(({ blockNo = -1, blockCount = 1, error }) =>
    found.push(`${error.code} ${blockNo}+${blockCount}`),
  );
  return found;
}

const anyBlocks = fc
  .array(
    fc.tuple(
      fc.constantFrom('.', '1', '2'),
      fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(90)),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((runs) => runs.map(([kind, count]) => kind.repeat(count)).join(''));
const anyRange = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.integer({ min: 1, max: 400_000 }),
);

describe.each(['gcm', 'xchacha', 'siv'] as const)('in layout %s', (name) => {
  test('every block of zeros is a hole, except the first and the last one', async () => {
    expect(stored(await encrypt(fileOf('1..2.3'), name), name)).toBe('#..#.#');
    expect(stored(await encrypt(fileOf('....'), name), name)).toBe('#..#');
    expect(stored(await encrypt(fileOf('1...', 7), name), name)).toBe('#..#');
    expect(stored(await encrypt(fileOf('1..2'), name, false), name)).toBe('####');
  });

  test('any part equals what was written, wherever reading began', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyBlocks,
        fc.integer({ min: 1, max: 4096 }),
        fc.array(anyRange),
        async (blocks, last, ranges) => {
          const plain = fileOf(blocks, last);
          const cipher = await encrypt(plain, name);
          const again = encrypting(plain, name);
          const back = opened(cipher, 'strict', name);
          for (const [share, length] of ranges) {
            const from = Math.floor(share * cipher.length);
            const part = Buffer.from(await again.read(from, length));
            expect(part.equals(cipher.subarray(from, from + length))).toBe(true);
            const at = Math.floor(share * plain.length);
            const read = Buffer.from(await back.read(at, length));
            expect(read.equals(plain.subarray(at, at + length))).toBe(true);
          }
          expect(plain.equals(await opened(cipher, 'strict', name).read(0, plain.length))).toBe(
            true,
          );
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('changes of holes by someone without the key are found', () => {
  const BLOCKS = '1234...5678..9..1';
  const OLDER = '12340005678009001';
  test.each([
    ['nothing', '', [], 0],
    ['a block zeroed', '9', ['hole 9+1'], 9],
    ['a hole longer at its front', '3', ['hole 3+4'], 3],
    ['a hole longer at its end', '7', ['hole 4+4'], 4],
    ['two holes made one', '13', ['hole 11+5'], 11],
    ['the first block zeroed', '0', ['hole 0+1'], 0],
    ['the last block zeroed', '16', ['hole 14+3'], 14],
    ['a hole moved by one', '3 filled 6', ['hole 3+3', 'hole-filled 7+1'], 3],
    ['a hole filled at its front', 'filled 4', ['hole 5+2'], 5],
    ['a hole filled', 'filled 4,5,6', ['hole-filled 7+1'], 7],
  ])('%s', async (_what, change, found, firstBad) => {
    const cipher = await encrypt(fileOf(BLOCKS));
    const older = await encrypt(fileOf(OLDER));
    const range = (block: number): [number, number] => [18 + block * 4128, 18 + (block + 1) * 4128];
    const [zeroed = '', filled = ''] = change.split(/ ?filled /);
    for (const block of zeroed.split(',').filter(Boolean)) cipher.fill(0, ...range(Number(block)));
    for (const block of filled.split(',').filter(Boolean)) {
      older.copy(cipher, range(Number(block))[0], ...range(Number(block)));
    }
    expect(await inspected(cipher)).toEqual(found);
    // Where others may have written, only a hole is suspicious.
    const told = found.filter((one) => !one.startsWith('hole-filled'));
    expect(await inspected(cipher, 'refused')).toEqual(told);
    expect(await inspected(cipher, 'allowed')).toEqual(told);
    const reading = opened(cipher, 'strict').read(0, cipher.length);
    if (found.length === 0) await reading;
    else await expect(reading).rejects.toMatchObject({ facts: { blockNo: firstBad } });
    // Nothing of a hole is returned, wherever reading begins; everything before it is.
    if (found.length > 0 && !change.endsWith('filled 4,5,6')) {
      await expect(
        opened(cipher, 'refused').read((firstBad + 0.5) * 4096, 9),
      ).rejects.toMatchObject({
        code: 'hole',
      });
      await opened(cipher, 'strict').read(0, firstBad * 4096);
    }
  });

  test('a file cut inside of a hole', async () => {
    const cipher = (await encrypt(fileOf(BLOCKS))).subarray(0, 18 + 6 * 4128);
    expect(await inspected(cipher)).toEqual(['hole 4+2']);
    await expect(opened(cipher, 'refused').read(4 * 4096, 1)).rejects.toMatchObject({
      code: 'hole',
    });
  });
});

test('layout reverse makes no holes: its blocks vouch for nothing', () => {
  const { content } = openLayout(
    { flags: new Set(flagsOfLayout({ layout: 'reverse' })), longNameMax: 255 },
    Buffer.alloc(32, 3),
    'reverse',
  );
  expect(content.knowsHoles).toBe(false);
});
