// The WebAssembly of AES-GCM: what it was compiled from, and its counters where they wrap.
import { execFileSync } from 'node:child_process';
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { openGcmBlocks } from '../../../src/gocryptfs/content/gcm-blocks.ts';
import { GcmCipher } from '../../../src/gocryptfs/cipher/gcm-cipher.ts';
import { KERNEL_PLACES } from '../../../src/gocryptfs/content/gcm-kernel-code.ts';
import { startKernel, webAssemblyHere } from '../../../src/gocryptfs/content/gcm-kernel.ts';
import { NATIVE_BACKEND } from '../../../src/gocryptfs/cipher/native-backend.ts';

const key = createSecretKey(Buffer.alloc(32, 0x51));
const anID = Buffer.alloc(16, 0x17);
const wasm = webAssemblyHere();

test('the committed kernel equals its compiled source', () => {
  execFileSync(process.execPath, ['scripts/build-gcm-kernel.mjs', '--check']);
});

describe('counters', () => {
  /** GF(2^128) with the bits in the order of GCM, as a number: x^0 is the highest bit. */
  const times = (a: bigint, b: bigint): bigint => {
    let [product, v] = [0n, b];
    for (let bit = 127n; bit >= 0n; bit--) {
      if ((a >> bit) & 1n) product ^= v;
      v = v & 1n ? (v >> 1n) ^ (0xe1n << 120n) : v >> 1n;
    }
    return product;
  };
  const asNumber = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  const asBytes = (number: bigint) => Buffer.from(number.toString(16).padStart(32, '0'), 'hex');

  /** The IV whose J0 is given: (J0 ⊕ 128 · H) · H^-2, and H^-1 is H^(2^128 - 2). */
  function ivOf(j0: Buffer): Buffer {
    const h = asNumber(NATIVE_BACKEND.aesEcb(key).encrypt(Buffer.alloc(16)));
    let inverse = 1n << 127n;
    for (let i = 0, power = h; i < 127; i++) {
      power = times(power, power);
      inverse = times(inverse, power);
    }
    return asBytes(times(times(asNumber(j0) ^ times(128n, h), inverse), inverse));
  }

  test.each(['ffffffff', 'fffffffe', 'ffffff00', 'fffeffff', '7fffffff', '00000000', 'ffffffef'])(
    'from …%s on count in 32 bits',
    (start) => {
      const j0 = Buffer.from(`fffffffffffffffffffffffe${start}`, 'hex');
      const nonce = ivOf(j0);
      const plain = randomBytes(4096);
      // An independent J0: the second block of CTR from it is the start of the key stream.
      const ctr = createCipheriv('aes-256-ctr', key, j0);
      const wraps = start === 'ffffffff';
      const sealed = Buffer.alloc(3 * 4128);
      const associated = Buffer.alloc(24);
      anID.copy(associated, 8);
      for (const blockNo of [0, 1, 2]) {
        associated.writeUInt32BE(blockNo, 4);
        const parts = { plain, nonce, associated };
        new GcmCipher(key).seal(parts, sealed.subarray(blockNo * 4128));
      }
      if (!wraps) {
        const stream = ctr.update(Buffer.alloc(32)).subarray(16);
        stream.forEach((byte, at) => expect(byte).toBe((sealed[16 + at] ?? 0) ^ (plain[at] ?? 0)));
      }
      const out = Buffer.alloc(3 * 4096);
      const blocks = openGcmBlocks({ cipher: key, nonces: undefined }, NATIVE_BACKEND);
      expect(blocks?.open({ firstBlock: 0, fileID: anID, sealed }, out)).toBe(3);
      expect(out.equals(Buffer.concat([plain, plain, plain]))).toBe(true);
    },
  );

  test('wrap without a carry into the other 12 bytes', () => {
    if (wasm === undefined) throw new Error('no WebAssembly');
    const kernel = startKernel(wasm);
    kernel.memory.write('aabbccddeeff00112233fffffffffffe', KERNEL_PLACES.stream, 'hex');
    kernel.count(4);
    const counters = kernel.memory.subarray(KERNEL_PLACES.stream).toString('hex', 0, 64);
    const fixed = 'aabbccddeeff00112233ffff';
    expect(counters).toBe(
      ['fffffffe', 'ffffffff', '00000000', '00000001'].map((end) => fixed + end).join(''),
    );
  });
});
