/** Bytes that paths are cut from at a time. */
const SLAB_LENGTH = 64 * 1024;

let slab = Buffer.alloc(0);
let used = 0;

/**
 * Room for one path that is kept for long. Out of Node's own pool a path would keep alive whatever
 * short-lived bytes were made beside it, several times its own length.
 *
 * @param length - bytes
 * @returns as many, not zeroed
 */
export function allocatePath(length: number): Buffer {
  if (length > SLAB_LENGTH / 4) return Buffer.allocUnsafeSlow(length);
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_LENGTH);
    used = 0;
  }
  const path = slab.subarray(used, used + length);
  used += length;
  return path;
}

/** The same bytes in memory that is right for what is kept for long. */
export function keepBytes(bytes: Uint8Array): Buffer {
  const kept = allocatePath(bytes.length);
  kept.set(bytes, 0);
  return kept;
}
