// Random access to encrypted content: any range equals the slice of the whole, damage never spreads
// to intact blocks, and every damaged block is named.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flagsOfLayout, type FeatureFlag } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openLayout } from '../../../src/gocryptfs/layout.ts';
import type { OpenFile } from '../../../src/tree/entry.ts';
import { BytesFile, CipherFile } from '../../../src/view/encrypt/cipher-file.ts';
import { PlainFile, type PlainFileOptions } from '../../../src/view/decrypt/plain-file.ts';
import { pattern } from '../../support/format-fixtures.ts';

const LAYOUTS: readonly (readonly [string, readonly FeatureFlag[]])[] = [
  ['AES-GCM', flagsOfLayout({ layout: 'gcm' })],
  ['AES-SIV', flagsOfLayout({ layout: 'reverse' })],
  ['XChaCha20', flagsOfLayout({ layout: 'xchacha' })],
];

const path = Buffer.from('folder/file');

function contentOf(flags: readonly FeatureFlag[]) {
  return openLayout({ flags: new Set(flags), longNameMax: 255 }, Buffer.alloc(32, 9)).content;
}

async function encrypt(plain: Buffer, flags: readonly FeatureFlag[]): Promise<Buffer> {
  const identity = { fileID: Buffer.alloc(16, 7) };
  const file = CipherFile.over({ plain: new BytesFile(plain), identity }, contentOf(flags));
  return Buffer.from(await file.read(0, file.size));
}

/** A file whose bytes are overwritten by the next read, as the contract of an open file allows. */
class ReusingFile implements OpenFile {
  readonly positional = false;
  readonly size: number;
  readonly #bytes: Buffer;
  readonly #buffer: Buffer;

  constructor(bytes: Buffer, size = bytes.length) {
    this.#bytes = bytes;
    this.#buffer = Buffer.alloc(bytes.length);
    this.size = size;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    this.#buffer.fill(0xee);
    const count = this.#bytes.copy(this.#buffer, 0, offset, offset + length);
    return Promise.resolve(this.#buffer.subarray(0, count));
  }

  close(): Promise<'unchanged'> {
    return Promise.resolve('unchanged');
  }
}

function opened(
  cipher: Buffer,
  flags: readonly FeatureFlag[],
  options: Partial<PlainFileOptions> = {},
): PlainFile {
  return new PlainFile(new ReusingFile(cipher), contentOf(flags), { path, ...options });
}

/** The reports of `inspect`: the code, and the block if there is one. */
async function inspected(file: PlainFile): Promise<string[]> {
  const found: string[] = [];
  await file.inspect(({ blockNo, error }) => found.push(`${error.code} ${blockNo ?? 'header'}`));
  await file.close();
  return found;
}

describe.each(LAYOUTS)('%s', (_, flags) => {
  const overhead = contentOf(flags).overhead;
  const blockStart = (blockNo: number) => 18 + blockNo * (4096 + overhead);

  test('any ranges in any order are the slices of the whole', async () => {
    const plain = pattern(150 * 4096 + 1234); // three runs, the last block short
    const cipher = await encrypt(plain, flags);
    const range = fc.tuple(fc.nat({ max: plain.length + 10 }), fc.nat({ max: 400_000 }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 8 }), async (ranges) => {
        const file = opened(cipher, flags);
        expect(file.size).toBe(plain.length);
        for (const [offset, length] of ranges) {
          const bytes = await file.read(offset, length);
          expect(plain.subarray(offset, offset + length).equals(bytes)).toBe(true);
        }
        await file.close();
      }),
      { numRuns: 20 },
    );
  });

  test.each([1, 4095, 4096, 32_768, 1_000_000])(
    'read from start to end in steps of %d bytes it is the whole',
    async (step) => {
      const plain = pattern(step === 1 ? 9000 : 130 * 4096 + 1);
      const file = opened(await encrypt(plain, flags), flags);
      const parts: Buffer[] = [];
      for (let at = 0; at < plain.length; at += step) {
        parts.push(Buffer.from(await file.read(at, step)));
      }
      expect(Buffer.concat(parts).equals(plain)).toBe(true);
      expect(await file.read(plain.length, 5)).toHaveLength(0);
      expect(await inspected(file)).toEqual([]);
    },
  );

  test('a damaged block is named, and all around it can be read', async () => {
    const plain = pattern(100 * 4096);
    const cipher = await encrypt(plain, flags);
    cipher[blockStart(70) + 2000] = (cipher[blockStart(70) + 2000] ?? 0) ^ 1;
    const file = opened(cipher, flags);
    const before = await file.read(0, 70 * 4096);
    expect(plain.subarray(0, 70 * 4096).equals(before)).toBe(true);
    await expect(file.read(70 * 4096 + 4095, 1)).rejects.toMatchObject({
      code: 'tag-mismatch',
      message: expect.stringContaining('block 70 of folder/file') as string,
      facts: { blockNo: 70, path: 'folder/file' },
    });
    await expect(file.read(60 * 4096, 20 * 4096)).rejects.toMatchObject({ facts: { blockNo: 70 } });
    const after = await file.read(71 * 4096, 29 * 4096);
    expect(plain.subarray(71 * 4096).equals(after)).toBe(true);
    expect(await inspected(opened(cipher, flags))).toEqual(['tag-mismatch 70']);
  });

  test('exchanged, foreign and zeroed blocks are distinguished', async () => {
    const cipher = await encrypt(pattern(6 * 4096 + 10), flags);
    const length = 4096 + overhead;
    const one = Buffer.from(cipher.subarray(blockStart(1), blockStart(2)));
    cipher.copy(cipher, blockStart(1), blockStart(2), blockStart(3));
    one.copy(cipher, blockStart(2));
    randomBytes(length).copy(cipher, blockStart(3));
    cipher.fill(0, blockStart(4), blockStart(5));
    cipher.fill(0, blockStart(6));
    expect(await inspected(opened(cipher, flags))).toEqual([
      'tag-mismatch 1',
      'tag-mismatch 2',
      'tag-mismatch 3',
      'hole 4',
      'nonce-zero 6',
    ]);
    const zeros = await opened(cipher, flags).read(4 * 4096, 4096);
    expect(zeros).toEqual(Buffer.alloc(4096));
    const strict = opened(cipher, flags, { holes: 'refused' });
    await expect(strict.read(4 * 4096, 4096)).rejects.toMatchObject({ code: 'hole' });
  });

  test.each([
    ['another version', (cipher: Buffer) => cipher.fill(3, 1, 2)],
    ['no file ID', (cipher: Buffer) => cipher.fill(0, 2, 18)],
  ])('a header with %s: one finding, and nothing can be read', async (_what, damage) => {
    const cipher = damage(await encrypt(pattern(3 * 4096), flags));
    expect(await inspected(opened(cipher, flags))).toEqual(['header-invalid header']);
    const file = opened(cipher, flags);
    for (const at of [0, 8192]) {
      await expect(file.read(at, 1)).rejects.toMatchObject({ code: 'header-invalid' });
    }
  });

  test('every size that no ciphertext can have is refused', () => {
    const illegal = [1, 17, 18 + 1, 18 + overhead];
    for (const size of [...illegal, ...illegal.slice(2).map((n) => n + 4096 + overhead)]) {
      expect(() => opened(Buffer.alloc(size), flags), String(size)).toThrow(
        expect.objectContaining({ code: 'cipher-size-illegal' }) as Error,
      );
    }
    expect(opened(Buffer.alloc(0), flags).size).toBe(0);
  });
});

test('an empty file has no bytes and nothing to inspect', async () => {
  const file = opened(Buffer.alloc(0), flagsOfLayout({ layout: 'gcm' }));
  expect(await file.read(0, 100)).toHaveLength(0);
  expect(await inspected(file)).toEqual([]);
});

test('a header alone is an empty file from another program, but damage in a file from ecsync', async () => {
  const flags = flagsOfLayout({ layout: 'gcm' });
  const header = Buffer.concat([Buffer.from([0, 2]), Buffer.alloc(16, 7)]);
  const file = opened(header, flags);
  expect([file.size, (await file.read(0, 100)).length]).toEqual([0, 0]);
  expect(await inspected(opened(header, flags))).toEqual([]);

  const ours: Partial<PlainFileOptions> = { admit: () => 'refused' };
  const code = 'cipher-size-illegal';
  await expect(opened(header, flags, ours).read(0, 100)).rejects.toMatchObject({ code });
  expect(await inspected(opened(header, flags, ours))).toEqual([`${code} header`]);
  expect(await inspected(opened(Buffer.alloc(18), flags))).toEqual(['header-invalid header']);
});

test('ciphertext that ends before its size is a change, not the end of the file', async () => {
  const flags = flagsOfLayout({ layout: 'gcm' });
  const cipher = await encrypt(pattern(3 * 4096), flags);
  const short = new ReusingFile(cipher.subarray(0, 5000), cipher.length);
  const file = new PlainFile(short, contentOf(flags), { path });
  await expect(file.read(0, 100_000)).rejects.toMatchObject({ code: 'changed' });
  await expect(file.inspect(() => undefined)).rejects.toMatchObject({ code: 'changed' });
});

test('an inspection ends between two runs when it is aborted', async () => {
  const flags = flagsOfLayout({ layout: 'gcm' });
  const controller = new AbortController();
  const file = opened(await encrypt(pattern(200 * 4096), flags), flags);
  let bytes = 0;
  const inspection = file.inspect(() => undefined, {
    signal: controller.signal,
    onBytes: (count) => {
      bytes += count;
      controller.abort(new Error('enough'));
    },
  });
  await expect(inspection).rejects.toThrow('enough');
  expect(bytes).toBe(64 * 4128);
});
