/** Differences between operating systems. Only this file asks which one this is. */
import os from 'node:os';

/**
 * Windows: folders are separated by `\`, names fold case, and the only mode of a file is read-only.
 */
export const isWindows = process.platform === 'win32';

/**
 * Whether a user already controls this process: its own user, or root. Windows has no user numbers:
 * every owner is 0 there, and trusted.
 */
export function isTrustedOwner(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** The system's code of an error (`ENOENT`), or an empty string. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  if (typeof error.code !== 'string') return '';
  return error.code.startsWith(UNNAMED) ? nameOf(error.code) : error.code;
}

/** Node's prefix for an error without a name. The negative number follows. */
const UNNAMED = 'Unknown system error ';

/** `os.constants` names more errors than Node does, such as `EDQUOT`, an exhausted quota. */
function nameOf(code: string): string {
  const number = -Number(code.slice(UNNAMED.length));
  return Object.entries(os.constants.errno).find(([, one]) => one === number)?.[0] ?? code;
}

/** Errors of Windows while another process holds the file open. */
const HELD = new Set(['EPERM', 'EACCES', 'EBUSY']);
const FIRST_WAIT_MS = 10;
const LONGEST_WAIT_MS = 640;

/**
 * Repeats an operation that Windows refuses while a virus scanner or an indexer has the file open,
 * which happens with every new file. Tries for about a second. On other systems it runs once.
 *
 * @param onRefused - called after the first refusal, to remove other reasons for it
 * @throws whatever `act` throws
 */
export function retryWhileHeld<T>(act: () => T, onRefused?: () => void): T {
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

/** The umask of this process: permission bits that new files do not get. */
export function currentUmask(): number {
  // The umask can only be read by setting it, so set the strictest useful one meanwhile.
  const umask = process.umask(0o077);
  process.umask(umask);
  return umask;
}
