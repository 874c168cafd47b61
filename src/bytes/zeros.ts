/** Zeros among bytes. */

const ZEROS = Buffer.alloc(64 * 1024);

/** Whether so many bytes from a position on are there and all zero. */
export function areZeros(bytes: Uint8Array, at: number, length: number): boolean {
  const end = at + length;
  // What has content nearly always shows it in its first byte.
  if (end > bytes.length || bytes[at] !== 0) return false;
  for (let from = at; from < end; from += ZEROS.length) {
    const to = Math.min(end, from + ZEROS.length);
    if (ZEROS.compare(bytes, from, to, 0, to - from) !== 0) return false;
  }
  return true;
}
