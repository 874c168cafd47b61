/**
 * EME (ECB-Mix-ECB, Halevi and Rogaway 2003): a wide-block, tweakable permutation over 1 … 16
 * AES blocks. One changed bit changes the whole name; equal names under one tweak stay equal.
 */
import type { KeyObject } from 'node:crypto';
import { BugError } from '../errors.ts';
import type { AesEcb, CipherBackend } from './cipher-backend.ts';
import { DEFAULT_BACKEND } from './default-backend.ts';

const BLOCK = 16;
const BLOCKS_MAX = 16;

/**
 * Doubles a 16-byte block in GF(2^128), read as a little-endian number. (CMAC doubles big-endian
 * numbers: another function.)
 */
function double(block: Uint8Array): Buffer {
  const doubled = Buffer.allocUnsafe(BLOCK);
  let carry = 0;
  for (let i = 0; i < BLOCK; i++) {
    const byte = block[i] ?? 0;
    doubled[i] = (byte << 1) | carry;
    carry = byte >> 7;
  }
  if (carry === 1) doubled[0] = (doubled[0] ?? 0) ^ 0x87;
  return doubled;
}

/** `target[at … at+15] ^= mask` */
function xorBlock(target: Uint8Array, at: number, mask: Uint8Array, maskAt = 0): void {
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
    let mask = double(this.#ecb.encrypt(Buffer.alloc(BLOCK))); // L_1 = 2 · E(0)
    for (let at = 0; at < masks.length; at += BLOCK) {
      masks.set(mask, at);
      mask = double(mask); // L_j = 2 · L_(j-1)
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
    return this.#transform((blocks) => this.#ecb.encrypt(blocks), tweak, plain);
  }

  /**
   * Inverse of {@link encrypt}.
   *
   * @throws {BugError} `invariant` — not 16, 32, … 256 bytes
   */
  decrypt(tweak: Uint8Array, cipher: Uint8Array): Buffer {
    return this.#transform((blocks) => this.#ecb.decrypt(blocks), tweak, cipher);
  }

  /** The network is the same both ways; only the block cipher F runs backwards to decrypt. */
  #transform(f: (blocks: Uint8Array) => Buffer, tweak: Uint8Array, input: Uint8Array): Buffer {
    const length = input.length;
    if (tweak.length !== BLOCK || length === 0 || length % BLOCK !== 0 || length > 256) {
      throw new BugError('invariant', `EME over ${length} bytes, tweak of ${tweak.length}`);
    }
    // PPP_j = F(P_j ⊕ L_j)
    const masked = Buffer.from(input);
    this.#mask(masked);
    const ppp = f(masked);
    // MP = T ⊕ PPP_1 ⊕ … ⊕ PPP_m,  MC = F(MP),  M_1 = MP ⊕ MC
    const mp = Buffer.from(tweak);
    for (let at = 0; at < length; at += BLOCK) xorBlock(mp, 0, ppp, at);
    const mc = f(mp);
    let m: Buffer = Buffer.from(mp);
    xorBlock(m, 0, mc);
    // CCC_j = PPP_j ⊕ M_j with M_j = 2 · M_(j-1);  CCC_1 = MC ⊕ T ⊕ CCC_2 ⊕ … ⊕ CCC_m
    const ccc = ppp;
    const first = Buffer.from(mc);
    xorBlock(first, 0, tweak);
    for (let at = BLOCK; at < length; at += BLOCK) {
      m = double(m);
      xorBlock(ccc, at, m);
      xorBlock(first, 0, ccc, at);
    }
    ccc.set(first, 0);
    // C_j = F(CCC_j) ⊕ L_j
    const output = f(ccc);
    this.#mask(output);
    return output;
  }

  #mask(blocks: Uint8Array): void {
    const masks = this.#masks;
    for (let i = 0; i < blocks.length; i++) blocks[i] = (blocks[i] ?? 0) ^ (masks[i] ?? 0);
  }
}
