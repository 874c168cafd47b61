/**
 * rsync's rolling checksum. Bytes count as signed; s1 is their sum, s2 the sum of all intermediate
 * values of s1, both modulo 2^16: `sum = s1 | s2 << 16`, an unsigned 32-bit number.
 *
 * @see rsync checksum.c get_checksum1 (3.5.0)
 */
export function weakSum(data: Uint8Array, start = 0, end = data.length): number {
  let s1 = 0;
  let s2 = 0;
  for (let i = start; i < end; i++) {
    const byte = ((data[i] ?? 0) << 24) >> 24;
    s1 = (s1 + byte) | 0;
    s2 = (s2 + s1) | 0;
  }
  return ((s1 & 0xffff) | (s2 << 16)) >>> 0;
}
