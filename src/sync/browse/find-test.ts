/** The tests of `find`. */
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  isSymlink,
  type Entry,
} from '../../tree/entry.ts';
import { WildPattern } from '../../tree/filter/wildmatch.ts';
import { splitPath } from '../../bytes/paths.ts';

/** Kinds of objects, by the letters of `find -type`. */
export const KINDS = {
  f: isRegularFile,
  d: isDirectory,
  l: isSymlink,
  s: (entry: Pick<Entry, 'mode'>): boolean => isSpecial(entry) || isDevice(entry),
} as const;
export type KindLetter = keyof typeof KINDS;

const SLASH = 0x2f;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;

/** An entry must pass all tests. An absent test is passed. */
export interface FindTests {
  /**
   * In rsync's pattern language. A pattern with a slash must match the whole path from the root (a
   * leading slash has no effect). Any other pattern must match the name.
   */
  readonly pattern?: Uint8Array;
  /** Ignores the case of ASCII letters. */
  readonly ignoreCase?: boolean;
  readonly kinds?: readonly KindLetter[];
  /** Bytes of regular files. Both limits are inclusive. */
  readonly sizeMin?: number;
  readonly sizeMax?: number;
  /** Modified after this, in milliseconds since 1970. */
  readonly newerThanMs?: number;
  /** Modified before this, in milliseconds since 1970. */
  readonly olderThanMs?: number;
}

/** @returns a function that decides whether an entry passes all tests */
export function findTest(tests: FindTests): (entry: Entry) => boolean {
  const { kinds, sizeMin, sizeMax, newerThanMs, olderThanMs } = tests;
  const hasName = nameTest(tests);
  const asksForSize = sizeMin !== undefined || sizeMax !== undefined;
  return (entry) => {
    if (kinds !== undefined && !kinds.some((letter) => KINDS[letter](entry))) return false;
    if (asksForSize) {
      if (!isRegularFile(entry)) return false;
      if (entry.size < (sizeMin ?? 0) || entry.size > (sizeMax ?? Infinity)) return false;
    }
    const timeMs = entry.mtimeSec * 1000 + entry.mtimeNsec / 1e6;
    if (newerThanMs !== undefined && timeMs <= newerThanMs) return false;
    if (olderThanMs !== undefined && timeMs >= olderThanMs) return false;
    return hasName(entry.path);
  };
}

function nameTest({ pattern, ignoreCase }: FindTests): (path: Uint8Array) => boolean {
  if (pattern === undefined) return () => true;
  const fold = ignoreCase === true ? lowerCase : (bytes: Uint8Array): Uint8Array => bytes;
  const isPath = pattern.includes(SLASH);
  const start = pattern[0] === SLASH ? 1 : 0;
  const wild = new WildPattern(fold(pattern.subarray(isPath ? start : 0)));
  return (path) => wild.matches(fold(isPath ? path : splitPath(path).name));
}

function lowerCase(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte) => (byte >= UPPER_A && byte <= UPPER_Z ? byte + 0x20 : byte));
}
