/** Sets the time that a folder had before something in it came or went. */
import { FileError } from '../../errors.ts';
import type { LocalEntry } from '../local/local-entry.ts';
import type { LocalStore } from './local-store.ts';

/**
 * Sets the time that a folder had when it was looked up.
 *
 * @returns the failure; nothing else depends on the time
 */
export async function restoreTime(
  store: Pick<LocalStore, 'setAttributes'>,
  seen: LocalEntry,
): Promise<FileError | undefined> {
  const { mtimeSec, mtimeNsec } = seen;
  try {
    await store.setAttributes(seen, { mtimeSec, mtimeNsec });
    return undefined;
  } catch (error) {
    if (error instanceof FileError) return error;
    throw error;
  }
}
