/** Escapes foreign bytes and texts, so that they can never control a terminal or log. */

/**
 * Control characters (C0, DEL, C1), bidirectional controls, line and paragraph separators, byte
 * order marks, and non-characters.
 */
const UNSAFE =
  /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\uFEFF\p{Noncharacter_Code_Point}\p{Surrogate}]/gu;
/** The same, and the backslash that starts every escape. */
const UNSAFE_OR_BACKSLASH = new RegExp(`${UNSAFE.source}|\\\\`, 'gu');

const SHORT: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\\': '\\\\',
};

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function octal(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += `\\${byte.toString(8).padStart(3, '0')}`;
  return text;
}

function escapeCharacter(character: string): string {
  return SHORT[character] ?? octal(Buffer.from(character));
}

/** The text of bytes that are valid UTF-8, otherwise undefined. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined; // TypeError: not UTF-8. It throws nothing else.
  }
}

/**
 * A path or other foreign bytes as one unambiguous line: `\n \r \t \\`, and `\ooo` (three octal
 * digits a byte) for every other control, every character that could mislead a terminal and every
 * byte that is not UTF-8. Two different inputs never look the same.
 */
export function shown(bytes: Uint8Array): string {
  const text = utf8Text(bytes);
  if (text !== undefined) return text.replace(UNSAFE_OR_BACKSLASH, escapeCharacter);
  let line = '';
  for (let i = 0; i < bytes.length;) {
    const length = sequenceLength(bytes, i);
    const part = bytes.subarray(i, i + Math.max(length, 1));
    const partText = length === 0 ? undefined : utf8Text(part);
    if (partText === undefined) {
      line += octal(bytes.subarray(i, i + 1));
      i += 1;
    } else {
      line += partText.replace(UNSAFE_OR_BACKSLASH, escapeCharacter);
      i += length;
    }
  }
  return line;
}

/** Length of the UTF-8 sequence with this first byte. 0 if no sequence can start so. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/**
 * A message that may contain foreign text, as one harmless line. Backslashes are kept, because a
 * message may contain a Windows path.
 */
export function shownText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** One line of JSON in which every misleading character is a `\u` escape. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (character) =>
    [...Array(character.length).keys()]
      .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** East Asian wide and emoji blocks, which take two columns. */
const WIDE =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F300}-\u{1F64F}\u{1F680}-\u{1F6FF}\u{1F900}-\u{1F9FF}\u{20000}-\u{3FFFD}]/u;

/** Columns that a text without control characters takes on a terminal. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue;
    columns += WIDE.test(character) ? 2 : 1;
  }
  return columns;
}

/** The end of a text that fits into a number of columns, after `…` if something was cut off. */
export function fitEnd(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  if (columns < 1) return '';
  let kept = '';
  let used = 1;
  for (const character of Array.from(text).reverse()) {
    used += columnsOf(character);
    if (used > columns) break;
    kept = character + kept;
  }
  return `…${kept}`;
}
