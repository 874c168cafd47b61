/** AES-CMAC. */
import type { KeyObject } from 'node:crypto';
import type { CipherBackend } from './cipher-backend.ts';

const BLOCK = 16;

/**
 * Doubles a 16-byte block in GF(2^128), read as a big-endian number. (EME doubles little-endian
 * numbers: another function.)
 */
export function doubleBigEndian(block: Uint8Array): Buffer {
  const doubled = Buffer.allocUnsafe(BLOCK);
  let carry = 0;
  for (let i = BLOCK - 1; i >= 0; i--) {
    const byte = block[i] ?? 0;
    doubled[i] = (byte << 1) | carry;
    carry = byte >> 7;
  }
  if (carry === 1) doubled[BLOCK - 1] = (doubled[BLOCK - 1] ?? 0) ^ 0x87;
  return doubled;
}

/** `target[at … at+15] ^= mask` */
export function xorBlock(target: Uint8Array, at: number, mask: Uint8Array): void {
  for (let i = 0; i < BLOCK; i++) target[at + i] = (target[at + i] ?? 0) ^ (mask[i] ?? 0);
}

/** CMAC under one AES key. @see RFC 4493, NIST SP 800-38B */
export class Cmac {
  readonly #cbcMac: (blocks: Uint8Array) => Uint8Array;
  /** Mask of a last block that is whole. */
  readonly #k1: Buffer;
  /** Mask of a last block that was padded. */
  readonly #k2: Buffer;
  #scratch = Buffer.alloc(4096 + BLOCK);

  constructor(key: KeyObject, backend: CipherBackend) {
    this.#cbcMac = backend.cbcMac(key);
    this.#k1 = doubleBigEndian(backend.aesEcb(key).encrypt(Buffer.alloc(BLOCK)));
    this.#k2 = doubleBigEndian(this.#k1);
  }

  /**
   * @param endMask - 16 bytes, added to the end of a message of 16 bytes or more before it is
   *   authenticated: the `xorend` of S2V
   * @returns 16 bytes
   */
  mac(message: Uint8Array, endMask?: Uint8Array): Uint8Array {
    const length = Math.max(BLOCK, Math.ceil(message.length / BLOCK) * BLOCK);
    if (length > this.#scratch.length) this.#scratch = Buffer.alloc(length);
    const blocks = this.#scratch.subarray(0, length);
    blocks.set(message, 0);
    if (endMask !== undefined) xorBlock(blocks, message.length - BLOCK, endMask);
    if (message.length < length) {
      blocks[message.length] = 0x80;
      blocks.fill(0, message.length + 1);
    }
    xorBlock(blocks, length - BLOCK, message.length < length ? this.#k2 : this.#k1);
    return this.#cbcMac(blocks);
  }
}
