/** Owner, permissions and time of what was stored. */
import type { FileError } from '../../errors.ts';
import { fileFailure } from '../file-failure.ts';
import type { Attributes } from '../store.ts';
import { storedTime } from '../stored-time.ts';

/** The system calls that set attributes, on a handle or a path. */
export interface AttributeCalls {
  /** Who owns the object now. */
  owner(): { readonly uid: number; readonly gid: number };
  /** −1 leaves an id as it is. */
  chown(uid: number, gid: number): void;
  chmod(mode: number): void;
  utimes(time: number | Date): void;
}

/**
 * Sets attributes in the order that keeps all of them: a new owner clears set-id bits, and
 * everything may touch the time. One that fails does not keep the others from being set.
 *
 * @returns the first failure, {FileError} `attributes-failed`
 */
export function trySetAttributes(
  path: Uint8Array,
  attributes: Attributes,
  calls: AttributeCalls,
): FileError | undefined {
  const { mode, mtimeSec, mtimeNsec = 0, uid, gid } = attributes;
  let failure: FileError | undefined;
  const attempt = (doing: string, call: () => void): void => {
    try {
      call();
    } catch (error) {
      failure ??= fileFailure(error, 'attributes-failed', doing, path);
    }
  };
  if (uid !== undefined || gid !== undefined) {
    attempt('cannot set the owner of', () => {
      const now = calls.owner();
      // Some file systems refuse even to set the owner that is there.
      if ((uid ?? now.uid) === now.uid && (gid ?? now.gid) === now.gid) return;
      calls.chown(uid ?? -1, gid ?? -1);
    });
  }
  if (mode !== undefined) attempt('cannot set the permissions of', () => calls.chmod(mode));
  if (mtimeSec !== undefined) {
    const time = storedTime(mtimeSec, mtimeNsec);
    attempt('cannot set the time of', () => calls.utimes(time));
  }
  return failure;
}
