/** The byte order marks that editors write at the beginning of text files. */

/** Length of the UTF-8 mark, which Windows editors write. */
const UTF8_MARK_LENGTH = 3;

/** The byte order mark at the beginning of a text. Redirection in PowerShell 5 writes UTF-16. */
export function byteOrderMarkOf(text: Uint8Array): 'utf-8' | 'utf-16' | undefined {
  const [first, second, third] = text;
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  if (first === 0xff && second === 0xfe) return 'utf-16';
  if (first === 0xfe && second === 0xff) return 'utf-16';
  return undefined;
}

/** The text without a UTF-8 byte order mark; any other text unchanged. */
export function withoutUtf8Mark(text: Uint8Array): Uint8Array {
  return byteOrderMarkOf(text) === 'utf-8' ? text.subarray(UTF8_MARK_LENGTH) : text;
}
