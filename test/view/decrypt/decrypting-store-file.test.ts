import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntegrityError } from '../../../src/errors.ts';
import { openLayout, type Layout } from '../../../src/gocryptfs/layout.ts';
import type { FeatureFlag } from '../../../src/gocryptfs/conf/feature-flags.ts';
import type { OpenFile } from '../../../src/tree/entry.ts';
import type { NewFile } from '../../../src/tree/store.ts';
import { BytesFile, CipherFile } from '../../../src/view/encrypt/cipher-file.ts';
import { DecryptionBudget } from '../../../src/view/decrypt/decryption-budget.ts';
import { PlainRunsHere } from '../../../src/view/decrypt/plain-runs.ts';
import { DecryptingFile } from '../../../src/view/decrypt/decrypting-store-file.ts';

const FLAGS: readonly FeatureFlag[] = [
  'HKDF',
  'GCMIV128',
  'DirIV',
  'EMENames',
  'LongNames',
  'Raw64',
];
const XCHACHA: readonly FeatureFlag[] = [
  ...['HKDF', 'XChaCha20Poly1305', 'DirIV', 'EMENames', 'LongNames', 'Raw64'],
] as FeatureFlag[];

const layoutOf = (flags: readonly FeatureFlag[]): Layout =>
  openLayout({ flags: new Set(flags), longNameMax: 255 }, Buffer.alloc(32, 7));
const LAYOUTS = { gcm: layoutOf(FLAGS), xchacha: layoutOf(XCHACHA) };
const SIZES = [0, 1, 15, 4095, 4096, 4097, 8192, 8193, 70_000];

async function encrypt(layout: Layout, plain: Uint8Array): Promise<Buffer> {
  const identity = layout.identities.file({ path: Buffer.from('file'), counter: 0 });
  const file: OpenFile = CipherFile.over({ plain: new BytesFile(plain), identity }, layout.content);
  return Buffer.from(await file.read(0, file.size));
}

/** The result of a file: its pieces, and how it ended. */
class Written implements NewFile {
  readonly pieces: Buffer[] = [];
  end: 'open' | 'committed' | 'discarded' = 'open';

  write(bytes: Uint8Array): Promise<void> {
    this.pieces.push(Buffer.from(bytes));
    return Promise.resolve();
  }
  commit(): Promise<undefined> {
    this.end = 'committed';
    return Promise.resolve(undefined);
  }
  discard(): Promise<void> {
    if (this.end === 'open') this.end = 'discarded';
    return Promise.resolve();
  }
  get content(): Buffer {
    return Buffer.concat(this.pieces);
  }
}

function decryptingHere(layout: Layout, file: NewFile) {
  const { content } = layout;
  const runs = new PlainRunsHere(content, file);
  return { overhead: content.overhead, runs, budget: new DecryptionBudget() };
}

async function decrypt(
  layout: Layout,
  cipher: Uint8Array,
  {
    lengths = [],
    holes = 'refused',
  }: { lengths?: readonly number[]; holes?: 'allowed' | 'refused' } = {},
): Promise<{ written: Written; error?: unknown }> {
  const written = new Written();
  const path = Buffer.from('folder/file');
  const file = new DecryptingFile(written, {
    ...decryptingHere(layout, written),
    path,
    holes,
    sizeHint: cipher.length,
  });
  let at = 0;
  for (const length of [...lengths, cipher.length]) {
    await file.write(cipher.subarray(at, at + length));
    at += length;
  }
  try {
    await file.commit({});
    return { written };
  } catch (error) {
    return { written, error };
  }
}

describe.each(Object.entries(LAYOUTS))('%s', (_name, layout) => {
  it.each(SIZES)('%i bytes are restored, in one piece', async (size) => {
    const plain = randomBytes(size);
    const { written, error } = await decrypt(layout, await encrypt(layout, plain));
    expect(error).toBeUndefined();
    expect(written.end).toBe('committed');
    expect(written.content.equals(plain)).toBe(true);
  });

  it('byte by byte', async () => {
    const plain = randomBytes(9000);
    const cipher = await encrypt(layout, plain);
    const { written } = await decrypt(layout, cipher, { lengths: cipher.map(() => 1) as never });
    expect(written.content.equals(plain)).toBe(true);
  });

  it('in any pieces', async () => {
    const size = fc.oneof(fc.constantFrom(...SIZES), fc.nat(30_000));
    await fc.assert(
      fc.asyncProperty(size, fc.array(fc.nat(9000), { maxLength: 20 }), async (length, lengths) => {
        const plain = randomBytes(length);
        const cipher = await encrypt(layout, plain);
        const { written } = await decrypt(layout, cipher, { lengths });
        expect(written.end).toBe('committed');
        expect(written.content.equals(plain)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('any changed bit is found, and nothing of its block is written', async () => {
    const plain = randomBytes(9000);
    const cipher = await encrypt(layout, plain);
    const step = 4096 + layout.content.overhead;
    await fc.assert(
      fc.asyncProperty(fc.nat(cipher.length - 1), fc.nat(7), async (at, bit) => {
        const changed = Buffer.from(cipher);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        const { written, error } = await decrypt(layout, changed, { lengths: [100, 5000] });
        expect(error).toMatchObject({ code: 'content-damaged' });
        expect((error as Error).cause).toBeInstanceOf(IntegrityError);
        expect(written.end).toBe('discarded');
        const block = Math.max(0, Math.floor((at - 18) / step));
        expect(written.content.length).toBeLessThanOrEqual(block * 4096);
        expect(written.content.equals(plain.subarray(0, written.content.length))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('any truncation is found, except at the end of a block', async () => {
    const cipher = await encrypt(layout, randomBytes(9000));
    const step = 4096 + layout.content.overhead;
    for (let length = 1; length < cipher.length; length += length < 60 ? 1 : 97) {
      const { written, error } = await decrypt(layout, cipher.subarray(0, length));
      if ((length - 18) % step === 0 && length > 18) continue;
      expect(error, String(length)).toMatchObject({ code: 'content-damaged' });
      expect(written.end).toBe('discarded');
    }
  });

  it('a hole is zeros where holes are allowed, and damage where they are not', async () => {
    const plain = randomBytes(9000);
    const cipher = await encrypt(layout, plain);
    cipher.fill(0, 18, 18 + 4096 + layout.content.overhead);
    const refused = await decrypt(layout, cipher);
    expect(refused.error).toMatchObject({ cause: { code: 'hole' } });
    const { written } = await decrypt(layout, cipher, { holes: 'allowed' });
    expect(written.content.equals(plain.fill(0, 0, 4096))).toBe(true);
  });
});

it('a header alone becomes an empty file, but not where ecsync wrote it', async () => {
  const header = (await encrypt(LAYOUTS.gcm, randomBytes(10))).subarray(0, 18);
  const { written, error } = await decrypt(LAYOUTS.gcm, header, { holes: 'allowed' });
  expect([error, written.end, written.content.length]).toEqual([undefined, 'committed', 0]);
  const ours = await decrypt(LAYOUTS.gcm, header);
  expect(ours.error).toMatchObject({ cause: { code: 'cipher-size-illegal' } });
});

it('an interrupted file is handed over only up to its last full block', async () => {
  const layout = LAYOUTS.gcm;
  const cipher = await encrypt(layout, randomBytes(20_000));
  for (const isDamaged of [false, true]) {
    const written = new Written();
    const kept: number[] = [];
    const file = new DecryptingFile(written, {
      ...decryptingHere(layout, written),
      path: Buffer.from('file'),
      holes: 'refused',
      sizeHint: cipher.length,
      onInterrupted: (_plain, length) => Promise.resolve(void kept.push(length)),
    });
    const part = Buffer.from(cipher.subarray(0, 10_000));
    if (isDamaged) part[6000] = (part[6000] ?? 0) ^ 1;
    await file.write(part);
    await file.discard();
    expect(kept).toEqual(isDamaged ? [] : [8192]);
    expect(written.end).toBe(isDamaged ? 'discarded' : 'open');
  }
});
