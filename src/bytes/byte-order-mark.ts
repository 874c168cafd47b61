/** The byte order marks with which editors begin text files. */

/** Of UTF-8, as Windows editors write it. */
const UTF8_MARK_LENGTH = 3;

/** Which byte order mark a text begins with: UTF-16 is what `>` of Windows PowerShell 5 writes. */
export function byteOrderMarkOf(text: Uint8Array): 'utf-8' | 'utf-16' | undefined {
  const [first, second, third] = text;
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  if (first === 0xff && second === 0xfe) return 'utf-16';
  if (first === 0xfe && second === 0xff) return 'utf-16';
  return undefined;
}

/** The text behind a byte order mark of UTF-8; every other text as it is. */
export function withoutUtf8Mark(text: Uint8Array): Uint8Array {
  return byteOrderMarkOf(text) === 'utf-8' ? text.subarray(UTF8_MARK_LENGTH) : text;
}
