/** Bytes allocated at a time for paths. */
const SLAB_LENGTH = 64 * 1024;

let slab = Buffer.alloc(0);
let used = 0;

/**
 * Memory for one long-lived path. In Node's own pool, a path would keep alive the short-lived bytes
 * beside it, several times its own length.
 *
 * @param length - bytes
 * @returns that many bytes, not zeroed
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

/** Copies bytes into memory for long-lived paths. */
export function keepBytes(bytes: Uint8Array): Buffer {
  const kept = allocatePath(bytes.length);
  kept.set(bytes, 0);
  return kept;
}
