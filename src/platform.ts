/** Where operating systems differ: the one place that decides on which one this is. */
import os from 'node:os';

/** Windows, where folders are separated by `\`, names fold case, and a file has no mode but read-only. */
export const isWindows = process.platform === 'win32';

/**
 * Whether an owner is one whom this process obeys anyway: its own user, or root. Windows has no such
 * numbers.
 */
export function isTrustedOwner(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** The system's name of an error (`ENOENT`), or an empty string. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  if (typeof error.code !== 'string') return '';
  return error.code.startsWith(UNNAMED) ? nameOf(error.code) : error.code;
}

/** How Node calls an error for which it has no name; the number follows, negative. */
const UNNAMED = 'Unknown system error ';

/** Node knows the numbers of more errors than it names: a used-up quota (`EDQUOT`) is one of them. */
function nameOf(code: string): string {
  const number = -Number(code.slice(UNNAMED.length));
  return Object.entries(os.constants.errno).find(([, one]) => one === number)?.[0] ?? code;
}

/** What Windows says of a file that somebody else holds open. */
const HELD = new Set(['EPERM', 'EACCES', 'EBUSY']);
const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 640;

/**
 * Does something to a file that Windows refuses for as long as a virus scanner or an indexer looks at
 * it, which they do with every new file: tries again for up to a second or so. Elsewhere it is done
 * once.
 *
 * @param onRefused - called after the first refusal, to remove what else may be the reason
 * @throws what `act` throws
 */
export function insist<T>(act: () => T, onRefused?: () => void): T {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs *= 2) {
    try {
      return act();
    } catch (error) {
      if (!isWindows || !HELD.has(errnoOf(error)) || waitMs > LONGEST_WAIT_MS) throw error;
      if (waitMs === FIRST_WAIT_MS) onRefused?.();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
    }
  }
}

/** The permission bits that this process takes away from what it makes. */
export function currentUmask(): number {
  // It can only be read by setting it: meanwhile to the strictest that is of use.
  const umask = process.umask(0o077);
  process.umask(umask);
  return umask;
}
