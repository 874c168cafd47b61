/** HMAC-SHA-256 of blocks in the kernel's memory, without an object for each. */
import type { hash, KeyObject } from 'node:crypto';
import { BugError } from '../../errors.ts';
import { replaceAllZero } from './identity.ts';
import { KERNEL_BLOCKS, type GcmKernel } from './gcm-kernel.ts';
import { KERNEL_PLACES } from './gcm-kernel-code.ts';
import { GCM_NONCE_LENGTH, PLAIN_BLOCK_SIZE } from '../format/limits.ts';
import { BLOCK_LABEL } from './nonces.ts';

/** `crypto.hash`, available since Node 20.12. */
export type OneShotHash = typeof hash;

const { plain: PLAIN, slots: SLOTS, outerKey: OUTER_KEY } = KERNEL_PLACES;
/** Bytes from one block of plaintext to the next. */
export const BLOCK_SLOT_LENGTH = PLAIN - SLOTS + PLAIN_BLOCK_SIZE;
/** SHA-256 takes 64 bytes at a time; HMAC pads the key to that length. */
const HASH_BLOCK = 64;
const DIGEST_LENGTH = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
/** The one byte of every slot that is not hashed. */
const UNUSED = 1;

/**
 * The nonces of `SyntheticNonces` for blocks in the kernel's slots, where the input of both hashes
 * of HMAC (RFC 2104) is contiguous:
 *
 *     inner: 1. key ⊕ 36…[64]   2. label ‖ 00[19]   3. what `GcmKernel.address` writes[28]
 *            4. plaintext
 *     outer: 5. key ⊕ 5c…[64]   6. inner digest[32]
 */
export class BlockNonces {
  readonly #hash: OneShotHash;
  readonly #memory: Buffer;
  /** Input of the inner hash of a full block, for each slot. */
  readonly #inner: readonly Buffer[];
  readonly #outer: Buffer;

  /** @param key - the sub-key `ecsyncNonces`, of at most 64 bytes */
  constructor(key: KeyObject, { memory }: GcmKernel, oneShot: OneShotHash) {
    this.#hash = oneShot;
    this.#memory = memory;
    const bytes = key.export();
    const padded = (pad: number) => {
      const block = Buffer.alloc(HASH_BLOCK, pad);
      bytes.forEach((byte, at) => (block[at] = byte ^ pad));
      return block;
    };
    const start = Buffer.concat([padded(INNER_PAD), BLOCK_LABEL]); // 1. 2.
    this.#inner = Array.from({ length: KERNEL_BLOCKS }, (_, index) => {
      const slot = memory
        .subarray(SLOTS + index * BLOCK_SLOT_LENGTH)
        .subarray(UNUSED, BLOCK_SLOT_LENGTH);
      slot.set(start);
      return slot;
    });
    this.#outer = memory.subarray(OUTER_KEY, OUTER_KEY + HASH_BLOCK + DIGEST_LENGTH);
    this.#outer.set(padded(OUTER_PAD)); // 5.
    bytes.fill(0);
    start.fill(0);
  }

  /**
   * Writes the nonce of the block in a slot.
   *
   * @param length - bytes of plaintext
   * @param at - where in memory
   * @throws {BugError} `invariant` — no such slot
   */
  write(slot: number, length: number, at: number): void {
    const full = this.#inner[slot];
    if (full === undefined) throw new BugError('invariant', `no slot ${slot}`);
    const inner =
      length === PLAIN_BLOCK_SIZE
        ? full
        : full.subarray(0, full.length - PLAIN_BLOCK_SIZE + length);
    // As strings: a Buffer for each digest costs more than the outer hash.
    const digest = this.#hash('sha256', inner, 'binary');
    const memory = this.#memory;
    memory.write(digest, OUTER_KEY + HASH_BLOCK, DIGEST_LENGTH, 'latin1'); // 6.
    memory.write(this.#hash('sha256', this.#outer, 'binary'), at, GCM_NONCE_LENGTH, 'latin1');
    if (memory[at] === 0) replaceAllZero(memory.subarray(at, at + GCM_NONCE_LENGTH));
  }
}
