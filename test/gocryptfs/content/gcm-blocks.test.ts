// The quick implementation of AES-GCM gives the same bytes as the two slow ones, finds the same
// damage, and returns nothing that is not authentic.
import { createCipheriv, createSecretKey, hash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BlockDamage } from '../../../src/gocryptfs/content/block-runs.ts';
import { ContentEncryption } from '../../../src/gocryptfs/content/content.ts';
import { flagsOfLayout } from '../../../src/gocryptfs/conf/feature-flags.ts';
import { openGcmBlocks, type Platform } from '../../../src/gocryptfs/content/gcm-blocks.ts';
import { GcmCipher } from '../../../src/gocryptfs/cipher/gcm-cipher.ts';
import { startKernel, webAssemblyHere } from '../../../src/gocryptfs/content/gcm-kernel.ts';
import { openContent } from '../../../src/gocryptfs/layout.ts';
import { NATIVE_BACKEND } from '../../../src/gocryptfs/cipher/native-backend.ts';
import { SyntheticNonces } from '../../../src/gocryptfs/content/nonces.ts';
import { PURE_BACKEND } from '../../../src/gocryptfs/cipher/pure-backend.ts';
import { blockCountOf } from '../../../src/gocryptfs/format/sizes.ts';
import { BACKENDS } from '../support.ts';

const keys = {
  cipher: createSecretKey(Buffer.alloc(32, 0x51)),
  nonces: createSecretKey(Buffer.alloc(32, 0x52)),
};
const wasm = webAssemblyHere();
const here: Platform = { hash, wasm };

/** Content with the quick way of a platform; without, one block after the other. */
function contentWith(platform?: Platform, backend = NATIVE_BACKEND, used = keys) {
  return new ContentEncryption(
    new GcmCipher(used.cipher, backend),
    new SyntheticNonces(used.nonces, 16, backend),
    platform && { openQuick: () => openGcmBlocks(used, backend, platform) },
  );
}
const quick = contentWith(here);
const slow = contentWith();

/** Bytes that look random, the same for the same seed; at an odd address. */
function noise(length: number, seed: number): Buffer {
  const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return Buffer.concat([Buffer.alloc(1), stream.update(Buffer.alloc(length))]).subarray(1);
}
function sealedBy(content: ContentEncryption, plain: Buffer, firstBlock: number, fileID: Buffer) {
  const out = Buffer.alloc(1 + plain.length + blockCountOf(plain.length) * 32).subarray(1);
  expect(content.encryptBlocks({ firstBlock, identity: { fileID }, plain }, out)).toBe(out.length);
  return out;
}
/** The outcome, and what `out`, full of ee before, holds then. */
function openedBy(
  content: ContentEncryption,
  sealed: Uint8Array,
  options: { firstBlock?: number; fileID?: Buffer } = {},
) {
  const { firstBlock = 0, fileID = anID } = options;
  const out = Buffer.alloc(1 + sealed.length, 0xee).subarray(1);
  const outcome = content.decryptBlocks({ firstBlock, fileID, sealed }, out);
  return { outcome: typeof outcome === 'number' ? outcome : shown(outcome), out };
}
function shown({ blockNo, error }: BlockDamage): string {
  return `${error.code} ${blockNo}: ${error.message}`;
}
function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = Math.floor(bit / 8);
  copy[at] = (copy[at] ?? 0) ^ (1 << (bit % 8));
  return copy;
}

const anID = Buffer.alloc(16, 0x17);
const anyID = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
const anyFirst = fc.oneof(
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: 2 ** 32 - 70, max: 2 ** 32 + 5 }),
  fc.integer({ min: 0, max: 2 ** 52 }),
);
const anyPlain = fc
  .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 1, max: 4096 }), fc.nat(255))
  .map(([whole, last, seed]) => noise(whole * 4096 + last, seed));

test('an open layout uses the quick implementation in every suitable filesystem', () => {
  expect(openGcmBlocks(keys, NATIVE_BACKEND)?.seal).toBeDefined();
  const flags = new Set(flagsOfLayout({ layout: 'gcm' }));
  const plain = noise(9 * 4096 + 100, 1);
  const content = openContent({ ...keys, flags, isConstantTime: false });
  expect(sealedBy(content, plain, 3, anID)).toEqual(sealedBy(slow, plain, 3, anID));
});

describe('a run', () => {
  test.each(BACKENDS)('equals the output of the %s backend block by block', (name, backend) => {
    const other = contentWith(undefined, backend);
    fc.assert(
      fc.property(anyPlain, anyFirst, anyID, (plain, firstBlock, fileID) => {
        const sealed = sealedBy(quick, plain, firstBlock, fileID);
        expect(sealed.equals(sealedBy(other, plain, firstBlock, fileID))).toBe(true);
        const { outcome, out } = openedBy(quick, sealed, { firstBlock, fileID });
        expect(outcome).toBe(plain.length);
        expect(out.subarray(0, plain.length).equals(plain)).toBe(true);
        expect(out.subarray(plain.length).every((byte) => byte === 0xee)).toBe(true);
      }),
      { numRuns: name === 'pure' ? 20 : 100 },
    );
  });

  test('of any length is equal, even with old bytes left in memory', () => {
    const plain = noise(4096, 2);
    for (let length = 4096; length >= 1; length--) {
      const block = plain.subarray(0, length);
      const sealed = sealedBy(quick, block, length, anID);
      expect(sealed.equals(sealedBy(slow, block, length, anID))).toBe(true);
      const { out } = openedBy(quick, sealed, { firstBlock: length });
      expect(out.subarray(0, length).equals(block)).toBe(true);
    }
  });

  test('under any key is equal', () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((key) => createSecretKey(key));
    fc.assert(
      fc.property(key, key, (cipher, nonces) => {
        const used = { cipher, nonces };
        const plain = noise(4096 + 33, 3);
        const sealed = sealedBy(contentWith(here, NATIVE_BACKEND, used), plain, 0, anID);
        expect(sealed).toEqual(
          sealedBy(contentWith(undefined, NATIVE_BACKEND, used), plain, 0, anID),
        );
      }),
      { numRuns: 20 },
    );
  });

  test('of nothing is nothing', () => {
    expect(sealedBy(quick, Buffer.alloc(0), 0, anID)).toHaveLength(0);
    expect(openedBy(quick, Buffer.alloc(0)).outcome).toBe(0);
  });

  test.each([1, 2, 7, 8, 9, 17, 64])('of %d blocks is decrypted in place', (blocks) => {
    for (const length of [blocks * 4096, blocks * 4096 - 4095]) {
      const plain = noise(length, blocks);
      for (const content of [quick, slow]) {
        const room = sealedBy(quick, plain, 5, anID);
        const run = { firstBlock: 5, fileID: anID, sealed: room };
        expect(content.decryptBlocks(run, room)).toBe(length);
        expect(room.subarray(0, length).equals(plain)).toBe(true);
      }
    }
  });

  test('is made from one reading of the plaintext', () => {
    const plain = noise(8 * 4096, 4);
    const before = Buffer.from(plain);
    const changing: Platform = {
      ...here,
      hash: ((...words: Parameters<typeof hash>) => {
        plain.fill(0x33);
        return hash(...words);
      }) as typeof hash,
    };
    const sealed = sealedBy(contentWith(changing), plain, 0, anID);
    expect(sealed.equals(sealedBy(slow, before, 0, anID))).toBe(true);
  });

  test('never has a nonce of zeros', () => {
    const zeros = (() => '\0'.repeat(32)) as unknown as typeof hash;
    const sealed = sealedBy(contentWith({ ...here, hash: zeros }), noise(5000, 5), 0, anID);
    for (const at of [0, 4128]) {
      expect(sealed.toString('hex', at, at + 16)).toBe(`${'00'.repeat(15)}01`);
    }
    expect(openedBy(slow, sealed).outcome).toBe(5000);
  });
});

describe('damage', () => {
  test('of any one bit is found, and nothing of the block is returned', () => {
    const sealed = sealedBy(quick, noise(37, 7), 0, anID);
    const full = sealedBy(quick, noise(4096, 8), 0, anID);
    const everywhere = Array.from({ length: sealed.length * 8 }, (_, bit) => flipped(sealed, bit));
    const here = Array.from({ length: 500 }, (_, i) => flipped(full, (i * 67) % (4128 * 8)));
    for (const damaged of [...everywhere, ...here]) {
      const { outcome, out } = openedBy(quick, damaged);
      expect(outcome).toMatch(/^tag-mismatch 0: /);
      expect(out.every((byte) => byte === 0xee)).toBe(true);
    }
  });

  test('another block number or file is found', () => {
    const sealed = sealedBy(quick, noise(50, 9), 7, anID);
    for (let bit = 0; bit < 128; bit++) {
      const fileID = flipped(anID, bit);
      expect(openedBy(quick, sealed, { firstBlock: 7, fileID }).outcome).toMatch(/^tag-mismatch 7/);
    }
    for (let bit = 0; bit < 52; bit++) {
      const firstBlock = Number(7n ^ (1n << BigInt(bit)));
      expect(openedBy(quick, sealed, { firstBlock }).outcome).toMatch(/^tag-mismatch/);
    }
  });

  test('in a run leaves the blocks before it intact, as block by block', () => {
    const plain = noise(20 * 4096 + 77, 10);
    const sealed = sealedBy(quick, plain, 0, anID);
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const damaged = flipped(sealed, bit);
        const blockNo = Math.floor(bit / 8 / 4128);
        const { outcome, out } = openedBy(quick, damaged);
        const slowly = openedBy(slow, damaged);
        expect([outcome, out.equals(slowly.out)]).toEqual([slowly.outcome, true]);
        expect(outcome).toMatch(new RegExp(`^tag-mismatch ${blockNo}: `));
        expect(out.subarray(0, blockNo * 4096).equals(plain.subarray(0, blockNo * 4096))).toBe(
          true,
        );
        expect(out.subarray(blockNo * 4096).every((byte) => byte === 0xee)).toBe(true);
      }),
    );
  });

  test('holes, nonces of zeros and odd lengths are treated as block by block', () => {
    const kinds = fc.constantFrom('sealed', 'hole', 'nonce', 'first byte', 'tag');
    const rest = fc.constantFrom(0, 1, 16, 31, 32, 33, 100, 4127);
    fc.assert(
      fc.property(fc.array(kinds, { maxLength: 20 }), rest, (run, end) => {
        const sealed = sealedBy(slow, noise((run.length + 1) * 4096, 11), 0, anID);
        run.forEach((kind, index) => {
          const block = sealed.subarray(index * 4128, (index + 1) * 4128);
          if (kind === 'hole') block.fill(0);
          if (kind === 'nonce') block.fill(0, 0, 16);
          if (kind === 'first byte') block[0] = 0;
          if (kind === 'tag') block.fill(0, 4112);
        });
        const cut = sealed.subarray(0, run.length * 4128 + end);
        const [quickly, slowly] = [quick, slow].map((way) => openedBy(way, cut));
        expect(quickly?.outcome).toBe(slowly?.outcome);
        expect(slowly && quickly?.out.equals(slowly.out)).toBe(true);
      }),
    );
  });

  test('leaves no plaintext in the memory of the kernel', () => {
    if (wasm === undefined) throw new Error('no WebAssembly');
    const { Module, Instance: Native } = wasm;
    let memory: Buffer = Buffer.alloc(0);
    const Instance = class {
      readonly exports: ReturnType<typeof startKernel>;
      constructor(module: object) {
        this.exports = new Native(module).exports as ReturnType<typeof startKernel>;
        memory = Buffer.from(this.exports.memory.buffer);
      }
    };
    const blocks = openGcmBlocks(keys, NATIVE_BACKEND, { hash, wasm: { Module, Instance } });
    const sealed = sealedBy(slow, Buffer.alloc(3 * 4096, 'secret'), 0, anID);
    const damaged = flipped(sealed, 8 * 4128 + 900);
    const run = { firstBlock: 0, fileID: anID, sealed: damaged };
    expect(blocks?.open(run, Buffer.alloc(3 * 4096))).toBe(1);
    expect(memory.length).toBe(4 * 65536);
    expect(memory.includes('secret')).toBe(false);
  });
});

describe('the quick implementation is absent', () => {
  const broken = () => {
    throw new RangeError('could not allocate memory');
  };
  const Broken = broken as unknown as NonNullable<typeof wasm>['Instance'];
  test.each<readonly [string, Platform]>([
    ['without crypto.hash', { wasm, hash: undefined }],
    ['without WebAssembly', { hash, wasm: undefined }],
    ['without address space', { hash, wasm: wasm && { Module: wasm.Module, Instance: Broken } }],
  ])('%s', (_, platform) => {
    expect(openGcmBlocks(keys, NATIVE_BACKEND, platform)).toBeUndefined();
    const plain = noise(3 * 4096 + 1, 12);
    const content = contentWith(platform);
    const sealed = sealedBy(content, plain, 0, anID);
    expect(sealed).toEqual(sealedBy(quick, plain, 0, anID));
    const { outcome, out } = openedBy(content, sealed);
    expect(outcome).toBe(plain.length);
    expect(out.subarray(0, plain.length)).toEqual(plain);
  });

  test('with the pure backend, or with shorter keys', () => {
    expect(openGcmBlocks(keys, PURE_BACKEND)).toBeUndefined();
    const cipher = createSecretKey(randomBytes(16));
    expect(openGcmBlocks({ ...keys, cipher }, NATIVE_BACKEND)).toBeUndefined();
  });

  test('for sealing without a key for nonces', () => {
    const blocks = openGcmBlocks({ ...keys, nonces: undefined }, NATIVE_BACKEND);
    expect(blocks?.seal).toBeUndefined();
    const sealed = sealedBy(slow, noise(100, 13), 0, anID);
    const out = Buffer.alloc(100);
    expect(blocks?.open({ firstBlock: 0, fileID: anID, sealed }, out)).toBe(1);
    expect(out).toEqual(noise(100, 13));
  });
});
