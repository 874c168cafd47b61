/** AES-SIV: an authenticated cipher that stays safe when a nonce is reused. */
import { createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { CipherBackend } from './cipher-backend.ts';
import { Cmac, doubleBigEndian, xorBlock } from './cmac.ts';

/** Bytes of V, which is both the tag and the start of the key stream. */
const SIV_LENGTH = 16;
const BLOCK = 16;

/**
 * SIV over any number of associated strings.
 *
 *     message: 1. V[16]   2. ciphertext[n]
 *
 * @see RFC 5297
 */
export class AesSiv {
  readonly #cmac: Cmac;
  readonly #ctr: (counter: Uint8Array, bytes: Uint8Array) => Uint8Array;
  /** CMAC of 16 zero bytes, where every S2V starts. */
  readonly #zeroMac: Uint8Array;

  /** @param key - 32, 48 or 64 bytes: the first half authenticates, the second encrypts */
  constructor(key: KeyObject, backend: CipherBackend) {
    const bytes = key.export();
    const half = bytes.length / 2;
    this.#cmac = new Cmac(createSecretKey(bytes.subarray(0, half)), backend);
    this.#ctr = backend.aesCtr(createSecretKey(bytes.subarray(half)));
    this.#zeroMac = this.#cmac.mac(Buffer.alloc(BLOCK));
  }

  /**
   * Seals one message into `out`.
   *
   * @param associated - authenticated in this order, not stored; a nonce is the last of them
   * @param out - room for `plain.length + 16` bytes from its start on
   */
  seal(plain: Uint8Array, associated: readonly Uint8Array[], out: Uint8Array): void {
    const v = this.#s2v(associated, plain);
    out.set(v, 0); // 1.
    // CTR over nothing is an error in plain JavaScript; an empty message is V alone.
    if (plain.length > 0) out.set(this.#ctr(counterOf(v), plain), SIV_LENGTH); // 2.
  }

  /**
   * Inverse of {@link seal}.
   *
   * @returns undefined for what is too short, or not what the key wrote
   */
  open(sealed: Uint8Array, associated: readonly Uint8Array[]): Buffer | undefined {
    if (sealed.length < SIV_LENGTH) return undefined;
    const v = sealed.subarray(0, SIV_LENGTH); // 1.
    const cipher = sealed.subarray(SIV_LENGTH); // 2.
    const bytes = cipher.length > 0 ? this.#ctr(counterOf(v), cipher) : Buffer.alloc(0);
    if (!timingSafeEqual(this.#s2v(associated, bytes), v)) return undefined;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** A string of 16 bytes or more takes the sum at its end; a shorter one is padded first. */
  #s2v(associated: readonly Uint8Array[], plain: Uint8Array): Uint8Array {
    let sum: Uint8Array = this.#zeroMac;
    for (const part of associated) {
      sum = doubleBigEndian(sum);
      xorBlock(sum, 0, this.#cmac.mac(part));
    }
    if (plain.length >= BLOCK) return this.#cmac.mac(plain, sum);
    const last = Buffer.alloc(BLOCK);
    last.set(plain, 0);
    last[plain.length] = 0x80;
    xorBlock(last, 0, doubleBigEndian(sum));
    return this.#cmac.mac(last);
  }
}

/** V without the top bits of its last two words, so that a 32-bit counter never carries. */
function counterOf(v: Uint8Array): Buffer {
  const counter = Buffer.from(v);
  counter[8] = (counter[8] ?? 0) & 0x7f;
  counter[12] = (counter[12] ?? 0) & 0x7f;
  return counter;
}
