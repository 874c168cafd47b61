/** rsync's wildcard patterns, over bytes. */
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const STAR = 0x2a;

/**
 * One element of a compiled pattern: a byte (0 … 255), one of the three below, or a set of bytes
 * (256 flags).
 */
type Token = number | Uint8Array;
/** `?`: any byte but a slash. */
const ANY = -1;
/** `*`: any run without a slash. */
const RUN = -2;
/** `**`: any run. */
const DEEP_RUN = -3;

const CLASSES: Readonly<Record<string, (byte: number) => boolean>> = {
  alnum: (byte) => isDigit(byte) || isLetter(byte),
  alpha: isLetter,
  blank: (byte) => byte === 0x20 || byte === 0x09,
  cntrl: (byte) => byte < 0x20 || byte === 0x7f,
  digit: isDigit,
  graph: isGraph,
  lower: (byte) => byte >= 0x61 && byte <= 0x7a,
  print: (byte) => byte === 0x20 || isGraph(byte),
  punct: (byte) => isGraph(byte) && !isDigit(byte) && !isLetter(byte),
  space: (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d),
  upper: (byte) => byte >= 0x41 && byte <= 0x5a,
  xdigit: (byte) =>
    isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66),
};

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}
function isGraph(byte: number): boolean {
  return byte > 0x20 && byte < 0x7f;
}

/** True when a pattern contains a byte that starts a wildcard: `*`, `?` or `[`. */
export function hasWildcard(pattern: Uint8Array): boolean {
  return pattern.includes(STAR) || pattern.includes(0x3f) || pattern.includes(0x5b);
}

/**
 * A pattern in rsync's wildcard language over bytes: `*` stops at a slash, `**` does not, `?` is
 * any byte but a slash, `[…]` a set (ranges, `!` or `^` to negate, classes such as `[:alpha:]`;
 * never a slash), a backslash makes the next byte literal. Matching uses no recursion.
 *
 * @see rsync lib/wildmatch.c (3.5.0) for the language
 */
export class WildPattern {
  /** Undefined for a pattern that matches nothing (unfinished set, trailing backslash). */
  readonly #tokens: readonly Token[] | undefined;

  constructor(pattern: Uint8Array) {
    this.#tokens = compile(pattern);
  }

  /** Whether the pattern matches exactly the bytes from `start` to before `end`. */
  matches(text: Uint8Array, start = 0, end = text.length): boolean {
    const tokens = this.#tokens;
    if (tokens === undefined) return false;
    let at = start;
    let tokenNo = 0;
    // Where to continue after a mismatch: the latest `*` takes one more byte, or else the latest
    // `**`.
    let runToken = -1;
    let runAt = 0;
    let deepToken = -1;
    let deepAt = 0;
    for (;;) {
      const token = tokens[tokenNo];
      if (token === RUN) {
        runToken = ++tokenNo;
        runAt = at;
      } else if (token === DEEP_RUN) {
        deepToken = ++tokenNo;
        deepAt = at;
        runToken = -1;
      } else if (token === undefined && at === end) {
        return true;
      } else if (token !== undefined && at < end && accepts(token, text[at] ?? 0)) {
        tokenNo++;
        at++;
      } else if (runToken !== -1 && runAt < end && text[runAt] !== SLASH) {
        tokenNo = runToken;
        at = ++runAt;
      } else if (deepToken !== -1 && deepAt < end) {
        tokenNo = deepToken;
        at = ++deepAt;
        runToken = -1;
      } else {
        return false;
      }
    }
  }
}

function accepts(token: Token, byte: number): boolean {
  if (typeof token === 'number') return token === byte || (token === ANY && byte !== SLASH);
  return token[byte] === 1;
}

function compile(pattern: Uint8Array): readonly Token[] | undefined {
  const tokens: Token[] = [];
  let at = 0;
  while (at < pattern.length) {
    const byte = pattern[at] ?? 0;
    if (byte === STAR) {
      let stars = 1;
      while (pattern[at + stars] === STAR) stars++;
      tokens.push(stars === 1 ? RUN : DEEP_RUN);
      at += stars;
    } else if (byte === 0x3f) {
      tokens.push(ANY);
      at++;
    } else if (byte === 0x5b) {
      const set = compileSet(pattern, at + 1);
      if (set === undefined) return undefined;
      tokens.push(set.bytes);
      at = set.next;
    } else {
      if (byte === BACKSLASH) at++;
      const plain = pattern[at];
      if (plain === undefined) return undefined;
      tokens.push(plain);
      at++;
    }
  }
  return tokens;
}

interface ByteSet {
  readonly bytes: Uint8Array;
  /** Position after the closing bracket. */
  readonly next: number;
}

/**
 * The set whose opening bracket is just before `at`; a `]` right at its start is a literal byte.
 */
function compileSet(pattern: Uint8Array, at: number): ByteSet | undefined {
  const bytes = new Uint8Array(256);
  const negated = pattern[at] === 0x21 || pattern[at] === 0x5e;
  if (negated) at++;
  const first = at;
  // Lower end of a range that a `-` may continue; -1 after a range or a class, which cannot start
  // one.
  let low = -1;
  while (at === first || pattern[at] !== 0x5d) {
    const byte = pattern[at];
    if (byte === undefined) return undefined;
    const className =
      byte === 0x5b && pattern[at + 1] === 0x3a ? classNameAt(pattern, at + 2) : null;
    if (className !== null) {
      const member = Object.hasOwn(CLASSES, className) ? CLASSES[className] : undefined;
      if (member === undefined) return undefined;
      for (let b = 0; b < 256; b++) if (member(b)) bytes[b] = 1;
      at += className.length + 4;
      low = -1;
      continue;
    }
    const next = pattern[at + 1];
    const isRange = byte === 0x2d && low > 0 && next !== undefined && next !== 0x5d;
    if (isRange) at++;
    if (pattern[at] === BACKSLASH) at++;
    const end = pattern[at];
    if (end === undefined) return undefined;
    bytes.fill(1, isRange ? Math.min(low, end + 1) : end, end + 1);
    low = isRange ? -1 : end;
    at++;
  }
  if (negated) for (let b = 0; b < 256; b++) bytes[b] = bytes[b] === 1 ? 0 : 1;
  bytes[SLASH] = 0;
  return { bytes, next: at + 1 };
}

/**
 * The name in `[:name:]` that starts at `at`, or null when the bytes up to the next `]` are no
 * class.
 */
function classNameAt(pattern: Uint8Array, at: number): string | null {
  const close = pattern.indexOf(0x5d, at);
  if (close === -1 || close === at || pattern[close - 1] !== 0x3a) return null;
  return Buffer.from(pattern.subarray(at, close - 1)).toString('latin1');
}
