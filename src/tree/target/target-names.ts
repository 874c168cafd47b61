/** Replaces names that a target cannot hold. */
import { createHash } from 'node:crypto';

/**
 * Names that a target cannot hold are replaced by one reversible rule: each reserved character
 * becomes `%` and two hex digits, and so does a `%` that would otherwise be read as such an escape.
 */

/** The names that a target can hold. */
export interface NameRules {
  /** Windows' rules: reserved characters and words, no dot or space at the end. */
  readonly windows: boolean;
  /** `a` and `A` are one name. */
  readonly foldsCase: boolean;
  /** Composed and decomposed letters are one name. */
  readonly foldsForms: boolean;
  /** Longest name. */
  readonly lengthMax: number;
  /** … in bytes of UTF-8, or in UTF-16 units. */
  readonly lengthUnit: 'bytes' | 'units';
  /** Bytes that are not UTF-8 cannot be stored. */
  readonly utf8Only: boolean;
}

/** Linux: every name is allowed. */
export const ANY_NAMES: NameRules = {
  windows: false,
  foldsCase: false,
  foldsForms: false,
  lengthMax: 255,
  lengthUnit: 'bytes',
  utf8Only: false,
};

/** Windows, and its file systems on any machine. */
export const WINDOWS_NAMES: NameRules = {
  windows: true,
  foldsCase: true,
  foldsForms: false,
  lengthMax: 255,
  lengthUnit: 'units',
  utf8Only: true,
};

const NOTHING: Uint8Array = new Uint8Array(0);
/** Longest ending, with its dot, that a number is put before. */
const ENDING_LENGTH_MAX = 12;
/** Names of Windows devices, whatever ending they have. */
const RESERVED_WORD = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)/i;
// eslint-disable-next-line no-control-regex -- these are what it is about
const RESERVED_CHARACTER = /[\0-\x1f"*:<>?|\\]/g;
const ESCAPE_LIKE = /%(?=[0-9A-Fa-f]{2})/g;
const ESCAPE = /%([0-9A-F]{2})/g;
const BEYOND_ASCII = /[\x80-\xff]/g;

/**
 * The names in the target of the objects of one directory. No two of them are one name there: the
 * first of several equal ones is unchanged, the others get `~2`, `~3`, … before their ending.
 *
 * @param names - the wanted names of all objects of the directory; no name twice
 * @returns names in the same order; the very same array for an unchanged name
 */
export function targetNames(names: readonly Uint8Array[], rules: NameRules): Uint8Array[] {
  const fitting = names.map((name) => fittingName(name, rules));
  if (!rules.foldsCase && !rules.foldsForms && !rules.windows) return fitting;
  // Names that fit come first and stay unchanged; apart from that the order of the listing is
  // irrelevant.
  const order = [...names.keys()].sort(
    (a, b) =>
      Number(fitting[a] !== names[a]) - Number(fitting[b] !== names[b]) ||
      Buffer.compare(names[a] ?? NOTHING, names[b] ?? NOTHING),
  );
  const taken = new Set<string>();
  const claims = (name: Uint8Array): boolean => {
    const key = folded(name, rules);
    if (taken.has(key)) return false;
    taken.add(key);
    return true;
  };
  for (const i of order.filter((at) => !claims(fitting[at] ?? NOTHING))) {
    const name = fitting[i] ?? NOTHING;
    let count = 2;
    while (!claims(withNumber(name, count, rules))) count++;
    fitting[i] = withNumber(name, count, rules);
  }
  return fitting;
}

/**
 * One name under the rules, without regard to collisions: escaped, and, when it is too long then,
 * cut and given the first digits of its hash.
 *
 * @returns the same array when nothing has to change
 */
export function fittingName(name: Uint8Array, rules: NameRules): Uint8Array {
  const escaped = escapeName(name, rules);
  if (lengthOf(escaped, rules) <= rules.lengthMax) return escaped;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return withEnd(escaped, `~${digest}`, rules);
}

/**
 * Escapes the characters that a name cannot contain.
 *
 * @returns the same array when nothing has to change; inverse of {@link unescapeName}
 */
export function escapeName(name: Uint8Array, rules: NameRules): Uint8Array {
  const bytes = Buffer.from(name);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text).equals(bytes);
  if (!rules.windows && (isText || !rules.utf8Only)) return name;
  const plain = bytes.toString('latin1').replace(ESCAPE_LIKE, '%25');
  // Byte by byte if it is not UTF-8.
  const readable = isText
    ? Buffer.from(plain, 'latin1').toString('utf8')
    : plain.replace(BEYOND_ASCII, (character) => escapeByte(character.charCodeAt(0)));
  const escaped = rules.windows ? escapeForWindows(readable) : readable;
  return isText && escaped === text ? name : Buffer.from(escaped);
}

/** Inverse of {@link escapeName}. */
export function unescapeName(name: Uint8Array): Uint8Array {
  const text = Buffer.from(name).toString('latin1');
  const plain = text.replace(ESCAPE, (_found, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(plain, 'latin1');
}

function escapeForWindows(text: string): string {
  const escaped = text.replace(RESERVED_CHARACTER, escapeFirst);
  const noWord = RESERVED_WORD.test(escaped) ? escapeFirst(escaped) : escaped;
  return noWord.replace(/[. ]$/, escapeFirst);
}

/** Replaces the first character, which is ASCII, by its escape. */
function escapeFirst(text: string): string {
  return escapeByte(text.charCodeAt(0)) + text.slice(1);
}

function escapeByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function lengthOf(name: Uint8Array, { lengthUnit }: NameRules): number {
  return lengthUnit === 'bytes' ? name.length : Buffer.from(name).toString('utf8').length;
}

/** Puts a number before the ending, as people expect it. */
function withNumber(name: Uint8Array, count: number, rules: NameRules): Uint8Array {
  return withEnd(name, `~${count}`, rules);
}

/** Puts text before the ending of a name, which is cut if it gets too long. */
function withEnd(name: Uint8Array, end: string, rules: NameRules): Uint8Array {
  const dot = name.lastIndexOf(0x2e);
  const hasEnding = dot > 0 && name.length - dot <= ENDING_LENGTH_MAX;
  const ending = hasEnding ? name.subarray(dot) : NOTHING;
  const text = Buffer.from(hasEnding ? name.subarray(0, dot) : name).toString('utf8');
  // A character takes at least one byte, or one unit.
  const stem = Array.from(text).slice(0, rules.lengthMax);
  for (;;) {
    const whole = Buffer.concat([Buffer.from(stem.join('') + end), ending]);
    if (lengthOf(whole, rules) <= rules.lengthMax || stem.length === 0) return whole;
    stem.pop();
  }
}

/** A key that is equal for names that are one in the target. */
function folded(name: Uint8Array, { foldsCase, foldsForms }: NameRules): string {
  const bytes = Buffer.from(name);
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) return `bytes ${bytes.toString('latin1')}`;
  const formed = foldsForms ? text.normalize('NFD') : text;
  if (!foldsCase) return `text ${formed}`;
  // Both ways: some letters meet only in capitals, others only in small ones.
  return `text ${formed.toUpperCase().toLowerCase()}`;
}
