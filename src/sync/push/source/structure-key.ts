/** The short key by which a push state knows an object of the skeleton. */
import { createHash } from 'node:crypto';

export const KEY_BYTES = 6;

/**
 * Key of one structural object: the first 48 bits of SHA-256 over its cipher path and a version.
 * Two objects sharing a key (about 1 in 50,000 for 100,000 objects) would only mean that one of
 * them is created without the staging step.
 *
 * @param version - bytes that make a changed object (a new conf) a new key; usually empty
 */
export function structureKey(
  cipherPath: Uint8Array,
  version: Uint8Array = new Uint8Array(),
): number {
  const digest = createHash('sha256').update(cipherPath).update('\0').update(version).digest();
  return digest.readUIntLE(0, KEY_BYTES);
}
