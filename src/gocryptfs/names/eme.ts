/**
 * EME (ECB-Mix-ECB, Halevi and Rogaway 2003): a wide-block, tweakable permutation over 1 … 16
 * AES blocks. One changed bit changes the whole name; equal names under one tweak stay equal.
 */
import type { KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import type { AesEcb, CipherBackend } from '../cipher/cipher-backend.ts';
import { DEFAULT_BACKEND } from '../cipher/default-backend.ts';

const BLOCK = 16;
const BLOCKS_MAX = 16;

/**
 * Doubles a 16-byte block in place, in GF(2^128), read as a little-endian number. (CMAC doubles
 * big-endian numbers: another function.)
 */
function double(block: Uint8Array): void {
  let carry = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = block[i] ?? 0;
    block[i] = (byte << 1) | carry;
    carry = byte >> 7;
  }
  if (carry === 1) block[0] = (block[0] ?? 0) ^ 0x87;
}

/** `target[at … at+15] ^= mask[maskAt … maskAt+15]` */
function xorBlock(target: Uint8Array, at: number, mask: Uint8Array, maskAt: number): void {
  for (let i = 0; i < BLOCK; i++) {
    target[at + i] = (target[at + i] ?? 0) ^ (mask[maskAt + i] ?? 0);
  }
}

/** EME under one AES-256 key. Not authenticated: any 16 … 256 bytes decrypt to something. */
export class Eme {
  readonly #ecb: AesEcb;
  /** L_1 … L_16 in a row, so that one pass masks a whole name. */
  readonly #masks: Buffer;

  /** @param key - AES-256 */
  constructor(key: KeyObject, backend: CipherBackend = DEFAULT_BACKEND) {
    this.#ecb = backend.aesEcb(key);
    const masks = Buffer.alloc(BLOCK * BLOCKS_MAX);
    const mask = this.#ecb.encrypt(Buffer.alloc(BLOCK));
    for (let at = 0; at < masks.length; at += BLOCK) {
      double(mask); // L_1 = 2 · E(0), L_j = 2 · L_(j-1)
      masks.set(mask, at);
    }
    this.#masks = masks;
  }

  /**
   * @param tweak - 16 bytes
   * @param plain - 16, 32, … 256 bytes
   * @returns as many bytes; inverse of {@link decrypt}
   * @throws {BugError} `invariant` — another length
   */
  encrypt(tweak: Uint8Array, plain: Uint8Array): Buffer {
    return this.encryptAll(tweak, plain, [plain.length]);
  }

  /**
   * Encrypts many messages under one tweak, each on its own. AES is called only three times, since
   * a call costs more than the few blocks of a name.
   *
   * @param plain - the concatenated messages, each of 16, 32, … 256 bytes
   * @param ends - the end of each message, ascending
   * @returns the concatenated encrypted messages, with the same ends
   * @throws {BugError} `invariant` — another length
   */
  encryptAll(tweak: Uint8Array, plain: Uint8Array, ends: readonly number[]): Buffer {
    return this.#transform((blocks) => this.#ecb.encrypt(blocks), { tweak, input: plain, ends });
  }

  /**
   * Inverse of {@link encrypt}.
   *
   * @throws {BugError} `invariant` — not 16, 32, … 256 bytes
   */
  decrypt(tweak: Uint8Array, cipher: Uint8Array): Buffer {
    const ends = [cipher.length];
    return this.#transform((blocks) => this.#ecb.decrypt(blocks), { tweak, input: cipher, ends });
  }

  /** The network is the same both ways; only the block cipher F runs backwards to decrypt. */
  #transform(f: (blocks: Uint8Array) => Buffer, { tweak, input, ends }: Messages): Buffer {
    assertLengths({ tweak, input, ends });
    // PPP_j = F(P_j ⊕ L_j)
    const masked = Buffer.from(input);
    this.#mask(masked, ends);
    const blocks = f(masked);
    // MP = T ⊕ PPP_1 ⊕ … ⊕ PPP_m,  MC = F(MP)
    const mp = Buffer.alloc(BLOCK * ends.length);
    eachMessage(ends, (start, end, at) => {
      mp.set(tweak, at);
      for (let j = start; j < end; j += BLOCK) xorBlock(mp, at, blocks, j);
    });
    const mc = f(mp);
    const m = Buffer.alloc(BLOCK);
    eachMessage(ends, (start, end, at) => {
      // M_1 = MP ⊕ MC, M_j = 2 · M_(j-1);  CCC_j = PPP_j ⊕ M_j
      for (let i = 0; i < BLOCK; i++) m[i] = (mp[at + i] ?? 0) ^ (mc[at + i] ?? 0);
      // CCC_1 = MC ⊕ T ⊕ CCC_2 ⊕ … ⊕ CCC_m
      blocks.set(mc.subarray(at, at + BLOCK), start);
      xorBlock(blocks, start, tweak, 0);
      for (let j = start + BLOCK; j < end; j += BLOCK) {
        double(m);
        xorBlock(blocks, j, m, 0);
        xorBlock(blocks, start, blocks, j);
      }
    });
    // C_j = F(CCC_j) ⊕ L_j
    const output = f(blocks);
    this.#mask(output, ends);
    return output;
  }

  #mask(blocks: Uint8Array, ends: readonly number[]): void {
    const masks = this.#masks;
    eachMessage(ends, (start, end) => {
      for (let i = start; i < end; i++) blocks[i] = (blocks[i] ?? 0) ^ (masks[i - start] ?? 0);
    });
  }
}

/** Concatenated messages under one tweak. */
interface Messages {
  readonly tweak: Uint8Array;
  readonly input: Uint8Array;
  readonly ends: readonly number[];
}

/**
 * @param each - called with start and end of a message, and the position of its block in
 *   per-message data
 */
function eachMessage(
  ends: readonly number[],
  each: (start: number, end: number, at: number) => void,
): void {
  let start = 0;
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i] ?? start;
    each(start, end, i * BLOCK);
    start = end;
  }
}

function assertLengths({ tweak, input, ends }: Messages): void {
  let start = 0;
  for (const end of ends) {
    const length = end - start;
    if (length <= 0 || length % BLOCK !== 0 || length > BLOCK * BLOCKS_MAX) {
      throw new BugError('invariant', `EME over ${length} bytes`);
    }
    start = end;
  }
  if (tweak.length !== BLOCK || start !== input.length) {
    throw new BugError('invariant', `EME over ${input.length} bytes, tweak of ${tweak.length}`);
  }
}
