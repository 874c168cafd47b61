/** A random choice among paths that can be repeated with its seed. */
import { createHash, randomBytes } from 'node:crypto';

/** A repeatable random choice. */
export interface Sample {
  /** Repeats the same choice. */
  readonly seed: string;
  readonly isIn: (path: Uint8Array) => boolean;
}

/**
 * Picks a share of all paths. Without the seed nobody can predict which ones.
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
