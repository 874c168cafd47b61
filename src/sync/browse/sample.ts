/** A random choice among paths that can be repeated by its seed. */
import { createHash, randomBytes } from 'node:crypto';

/** A random choice that can be made again. */
export interface Sample {
  /** What makes the same choice again. */
  readonly seed: string;
  readonly isIn: (path: Uint8Array) => boolean;
}

/**
 * Picks a share of all paths. Whoever does not know the seed cannot tell which ones.
 *
 * @param share - from 0 to 1
 */
export function pickSample(share: number, seed = randomBytes(8).toString('hex')): Sample {
  return {
    seed,
    isIn: (path) => {
      const digest = createHash('sha256').update(`${seed}\0`).update(path).digest();
      return digest.readUIntBE(0, 6) / 2 ** 48 < share;
    },
  };
}
