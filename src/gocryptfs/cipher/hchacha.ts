/** HChaCha20: the key derivation that gives ChaCha20 a nonce of 24 bytes. */

/** "expand 32-byte k" as four little-endian words. */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
const DOUBLE_ROUNDS = 10;

/** The four words that each quarter round of a double round mixes: columns, then diagonals. */
const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** a += b, d ^= a, d <<<= 16, … as in RFC 8439 section 2.1; arithmetic is modulo 2^32. */
function quarterRound(state: Int32Array, [ia, ib, ic, id]: (typeof QUARTERS)[number]): void {
  let a = state[ia] ?? 0;
  let b = state[ib] ?? 0;
  let c = state[ic] ?? 0;
  let d = state[id] ?? 0;
  a = (a + b) | 0;
  d = rotate(d ^ a, 16);
  c = (c + d) | 0;
  b = rotate(b ^ c, 12);
  a = (a + b) | 0;
  d = rotate(d ^ a, 8);
  c = (c + d) | 0;
  b = rotate(b ^ c, 7);
  state[ia] = a;
  state[ib] = b;
  state[ic] = c;
  state[id] = d;
}

/**
 * The sub-key of the first 16 bytes of an XChaCha nonce.
 *
 *     1. constants, words 0 … 3   2. key, words 4 … 11   3. nonce, words 12 … 15
 *     result: words 0 … 3 and 12 … 15 after 20 rounds, without adding the start
 *
 * @param key - 32 bytes
 * @param nonce - 16 bytes
 * @returns 32 bytes
 * @see draft-irtf-cfrg-xchacha-03 section 2.2
 */
export function hchacha20(key: Buffer, nonce: Buffer): Buffer {
  const state = new Int32Array(16);
  state.set(CONSTANTS); // 1.
  for (let i = 0; i < 8; i++) state[4 + i] = key.readInt32LE(4 * i); // 2.
  for (let i = 0; i < 4; i++) state[12 + i] = nonce.readInt32LE(4 * i); // 3.
  for (let round = 0; round < DOUBLE_ROUNDS; round++) {
    for (const quarter of QUARTERS) quarterRound(state, quarter);
  }
  const subKey = Buffer.allocUnsafe(32);
  for (let i = 0; i < 4; i++) {
    subKey.writeInt32LE(state[i] ?? 0, 4 * i);
    subKey.writeInt32LE(state[12 + i] ?? 0, 16 + 4 * i);
  }
  return subKey;
}
