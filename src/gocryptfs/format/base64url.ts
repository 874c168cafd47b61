/** The two ways in which gocryptfs writes bytes as text: base64url without and with padding. */

/** Encodes bytes as text that fits into a name, and decodes it. */
export interface TextCodec {
  encode(bytes: Uint8Array): Buffer;
  /** Length of the encoding of so many bytes. */
  encodedLength(byteCount: number): number;
  /**
   * Inverse of {@link encode}. Canonical only: no other characters, no stray bits, padding exactly
   * as the codec writes it. Two spellings of one name would let a server show one file twice.
   *
   * @returns undefined for anything that `encode` does not write
   */
  decode(text: Uint8Array): Buffer | undefined;
}

/** Flag `Raw64`: without padding. @see RFC 4648 section 5 */
export const RAW64: TextCodec = {
  encode,
  encodedLength: (byteCount) => Math.ceil((byteCount * 4) / 3),
  decode: (text) => decodeCanonically(text, (bytes) => bytes.toString('base64url')),
};

/** Filesystems made before `Raw64`: padded with `=` to a multiple of four characters. */
export const PADDED64: TextCodec = {
  encode: (bytes) => Buffer.from(toPadded(Buffer.from(bytes)), 'latin1'),
  encodedLength: (byteCount) => Math.ceil(byteCount / 3) * 4,
  decode: (text) => decodeCanonically(text, toPadded),
};

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

/** Encodes by hand: for short names, an intermediate string costs several times as much. */
function encode(bytes: Uint8Array): Buffer {
  const text = Buffer.allocUnsafe(RAW64.encodedLength(bytes.length));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    // Writes beyond the end of the text are ignored.
    text[at++] = ALPHABET[group >>> 18] ?? 0;
    text[at++] = ALPHABET[(group >>> 12) & 63] ?? 0;
    text[at++] = ALPHABET[(group >>> 6) & 63] ?? 0;
    text[at++] = ALPHABET[group & 63] ?? 0;
  }
  return text;
}

function toPadded(bytes: Buffer): string {
  const text = bytes.toString('base64url');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

function decodeCanonically(
  text: Uint8Array,
  encode: (bytes: Buffer) => string,
): Buffer | undefined {
  const characters = Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1');
  const bytes = Buffer.from(characters, 'base64url');
  return encode(bytes) === characters ? bytes : undefined;
}
