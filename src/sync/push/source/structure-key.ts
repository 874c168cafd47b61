/** The short key of an object of the skeleton in a push state. */
import { createHash } from 'node:crypto';

export const KEY_BYTES = 6;

/**
 * Key of one structural object: the first 48 bits of SHA-256 over its cipher path and a version. If
 * two objects share a key (probability about 1 in 50,000 for 100,000 objects), one of them is
 * created without the staging step, and nothing else happens.
 *
 * @param version - bytes that give a changed object (a new conf) a new key; usually empty
 */
export function structureKey(
  cipherPath: Uint8Array,
  version: Uint8Array = new Uint8Array(),
): number {
  const digest = createHash('sha256').update(cipherPath).update('\0').update(version).digest();
  return digest.readUIntLE(0, KEY_BYTES);
}
