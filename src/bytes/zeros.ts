/** Detects runs of zero bytes. */

const ZEROS = Buffer.alloc(64 * 1024);

/** Whether the `length` bytes from position `at` on exist and are all zero. */
export function areZeros(bytes: Uint8Array, at: number, length: number): boolean {
  const end = at + length;
  // A block with content nearly always has a first byte that is not zero.
  if (end > bytes.length || bytes[at] !== 0) return false;
  for (let from = at; from < end; from += ZEROS.length) {
    const to = Math.min(end, from + ZEROS.length);
    if (ZEROS.compare(bytes, from, to, 0, to - from) !== 0) return false;
  }
  return true;
}
