// A cipher file read in any pieces gives slices of one ciphertext, and stays decryptable block by
// block even when the plaintext changes during a sequential read.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { parseFileHeader } from '../../../src/gocryptfs/format/file-header.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import {
  cipherSizeToPlainSize,
  plainSizeToCipherSize,
} from '../../../src/gocryptfs/format/sizes.ts';
import { BytesFile, CipherFile } from '../../../src/view/encrypt/cipher-file.ts';
import { pattern } from '../../support/format-fixtures.ts';
import { MemoryTree, type MemoryEntry } from '../../support/memory-tree.ts';

const layout = { flags: new Set(flagsOfLayout({ layout: 'gcm' })), longNameMax: 255 };
const { content } = openLayout(layout, Buffer.alloc(32, 1));
const fileID = Buffer.alloc(16, 0x33);

interface Opened {
  readonly tree: MemoryTree;
  readonly entry: MemoryEntry;
  readonly file: CipherFile;
}

async function openFile(plain: Buffer): Promise<Opened> {
  const tree = new MemoryTree();
  const entry = tree.addFile('f', plain);
  return {
    tree,
    entry,
    file: CipherFile.over({ plain: await tree.open(entry), identity: { fileID } }, content),
  };
}

/** Reads sequentially in steps of the given lengths, repeated, to the end. */
async function readInSteps(file: CipherFile, steps: readonly number[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0, i = 0; ; i++) {
    const step = steps[i % steps.length] ?? 1;
    const part = Buffer.from(await file.read(offset, step));
    parts.push(part);
    offset += part.length;
    if (part.length < step) return Buffer.concat(parts);
  }
}

function decrypt(cipher: Buffer): Buffer {
  if (cipher.length === 0) return cipher;
  const id = parseFileHeader(cipher);
  const blocks: Buffer[] = [];
  for (let at = 18; at < cipher.length; at += 4128) {
    blocks.push(content.decryptBlock(blocks.length, id, cipher.subarray(at, at + 4128)));
  }
  return Buffer.concat(blocks);
}

async function encrypt(plain: Buffer): Promise<Buffer> {
  const { file } = await openFile(plain);
  return Buffer.from(await file.read(0, file.size));
}

const RUN = 64 * 4096;
const sizes = [0, 1, 4095, 4096, 4097, RUN - 1, RUN, RUN + 1, 2 * RUN + 5000, 3 * RUN + 4096];
const anySize = fc.oneof(fc.constantFrom(...sizes), fc.integer({ min: 0, max: 3 * RUN }));

describe('CipherFile', () => {
  test.each(sizes)('of %i plaintext bytes has its size and decrypts', async (size) => {
    const plain = pattern(size);
    const { file } = await openFile(plain);
    const whole = Buffer.from(await file.read(0, file.size));
    expect(whole).toHaveLength(file.size);
    expect(file.size).toBe(plainSizeToCipherSize(size));
    expect(decrypt(whole).equals(plain)).toBe(true);
    expect(await file.read(file.size, 1)).toHaveLength(0);
    expect(await file.read(file.size + 10_000, 5)).toHaveLength(0);
    expect(await file.close()).toBe('unchanged');
  });

  test('read anywhere equals the slice of the whole', async () => {
    const steps = fc.array(
      fc.tuple(fc.integer({ min: 0, max: 3 * RUN }), fc.integer({ min: 0, max: 300_000 })),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(anySize, steps, async (size, ranges) => {
        const plain = pattern(size);
        const whole = await encrypt(plain);
        const { file } = await openFile(plain);
        for (const [offset, length] of ranges) {
          const part = await file.read(offset, length);
          expect(Buffer.from(part).equals(whole.subarray(offset, offset + length))).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test.each([[[1]], [[17, 1]], [[4128]], [[4096]], [[700, 131_072]], [[32_768]], [[1_000_000]]])(
    'read from front to back in steps of %j is the same ciphertext',
    async (steps) => {
      const plain = randomBytes(steps[0] === 1 ? 9000 : 2 * RUN + 777);
      const { file } = await openFile(plain);
      expect((await readInSteps(file, steps)).equals(await encrypt(plain))).toBe(true);
    },
  );

  test('reads every plaintext byte once when read from front to back', async () => {
    const { tree, file } = await openFile(pattern(3 * RUN + 100));
    await readInSteps(file, [5000, 70_001]);
    const offsets = tree.reads.map(([offset]) => offset);
    expect(offsets).toEqual([0, RUN, 2 * RUN, 3 * RUN]);
    expect(tree.reads.reduce((sum, [, length]) => sum + length, 0)).toBe(3 * RUN + 100);
  });

  test('reading again within a run costs nothing, reading elsewhere only the blocks touched', async () => {
    const { tree, file } = await openFile(pattern(10 * RUN));
    await readInSteps(file, [100_000]);
    const before = tree.reads.length;
    await file.read(file.size - 200_000, 150_000);
    expect(tree.reads).toHaveLength(before);
    await file.read(18 + 4128 * 5 + 10, 4128);
    expect(tree.reads.slice(before)).toEqual([[5 * 4096, 2 * 4096]]);
  });

  test('of a file that is rewritten all the time has no torn block', async () => {
    for (const step of [1000, 4128, 5001, 100_000]) {
      const { entry, file } = await openFile(Buffer.alloc(2 * RUN + 99, 0));
      const parts: Buffer[] = [];
      for (let offset = 0, turn = 1; offset < file.size; turn++) {
        const part = Buffer.from(await file.read(offset, step));
        parts.push(part);
        offset += part.length;
        entry.content = Buffer.alloc(2 * RUN + 99, turn % 256);
      }
      const plain = decrypt(Buffer.concat(parts));
      expect(plain).toHaveLength(2 * RUN + 99);
    }
  });

  test.each([0, 1, 4096, 5000, RUN - 4096, RUN, RUN + 1, 2 * RUN - 1])(
    'of a file cut to %i bytes before it is read ends there, validly',
    async (length) => {
      const plain = pattern(2 * RUN);
      const { entry, file } = await openFile(plain);
      entry.content = plain.subarray(0, length);
      const cipher = await readInSteps(file, [10_000]);
      expect(cipherSizeToPlainSize(cipher.length)).toBe(length);
      expect(decrypt(cipher).equals(plain.subarray(0, length))).toBe(true);
      expect(await file.close()).toBe('changed');
      // It does not start again when the file grows back.
      entry.content = plain;
      expect(await file.read(cipher.length, 100)).toHaveLength(0);
    },
  );

  test('of a file cut in the middle of reading ends with a valid block', async () => {
    const plain = pattern(4 * RUN);
    const { entry, file } = await openFile(plain);
    const first = Buffer.from(await file.read(0, RUN));
    entry.content = plain.subarray(0, 2 * RUN + 10);
    const rest: Buffer[] = [];
    for (let offset = first.length; ;) {
      const part = Buffer.from(await file.read(offset, 9999));
      if (part.length === 0) break;
      rest.push(part);
      offset += part.length;
    }
    const cipher = Buffer.concat([first, ...rest]);
    expect(decrypt(cipher).equals(plain.subarray(0, 2 * RUN + 10))).toBe(true);
  });

  test('of a file that grows shows the size it was opened with', async () => {
    const { entry, file } = await openFile(pattern(5000));
    entry.content = pattern(50_000);
    expect(decrypt(await readInSteps(file, [999])).equals(pattern(5000))).toBe(true);
  });
});

/** Reads sequentially in runs; uses each only after the next one was read. */
async function readInRuns(file: CipherFile, onRun?: (offset: number) => void): Promise<Buffer> {
  const parts: Buffer[] = [];
  let offset = 0;
  for (let run = await file.readRun(0); run.length > 0;) {
    offset += run.length;
    onRun?.(offset);
    const next = await file.readRun(offset);
    parts.push(Buffer.from(run));
    run = next;
  }
  return Buffer.concat(parts);
}

describe('CipherFile read in runs', () => {
  test.each(sizes)(
    'of %i plaintext bytes is the same ciphertext, each run still there after the next',
    async (size) => {
      const plain = pattern(size);
      const { tree, file } = await openFile(plain);
      expect((await readInRuns(file)).equals(await encrypt(plain))).toBe(true);
      expect(tree.reads.every(([offset]) => offset % RUN === 0)).toBe(true);
      expect(await file.close()).toBe('unchanged');
    },
  );

  test('continues from any offset', async () => {
    const plain = pattern(2 * RUN + 300);
    const whole = await encrypt(plain);
    const { file } = await openFile(plain);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length + 10 }), async (offset) => {
        const run = await file.readRun(offset);
        expect(run.length > 0).toBe(offset < whole.length);
        expect(whole.subarray(offset, offset + run.length).equals(run)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test.each([0, 1, RUN, RUN + 5000])('ends validly when it is cut to %i bytes', async (length) => {
    const plain = pattern(2 * RUN + 100);
    const { entry, file } = await openFile(plain);
    entry.content = plain.subarray(0, length);
    const cipher = await readInRuns(file);
    expect(decrypt(cipher).equals(plain.subarray(0, length))).toBe(true);
    expect(await file.close()).toBe('changed');
  });

  test('has no torn block when it is rewritten all the time', async () => {
    const { entry, file } = await openFile(Buffer.alloc(3 * RUN + 99, 0));
    const cipher = await readInRuns(file, (offset) => {
      entry.content = Buffer.alloc(3 * RUN + 99, offset % 251);
    });
    expect(decrypt(cipher)).toHaveLength(3 * RUN + 99);
  });
});

test('BytesFile gives slices of its bytes', async () => {
  const file = new BytesFile(pattern(100));
  expect(file.size).toBe(100);
  expect(await file.read(10, 5)).toEqual(pattern(100).subarray(10, 15));
  expect(await file.read(98, 5)).toHaveLength(2);
  expect(await file.read(100, 5)).toHaveLength(0);
  expect(await file.readRun(0)).toEqual(pattern(100));
  expect(await file.readRun(100)).toHaveLength(0);
  expect(await file.close()).toBe('unchanged');
});
