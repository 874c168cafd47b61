/** Sets the owner, permissions and mtime of stored objects. */
import type { FileError } from '../../errors.ts';
import { fileFailure } from '../file-failure.ts';
import type { Attributes } from '../store.ts';
import { storedTime } from '../stored-time.ts';

/** The system calls that set attributes, on a handle or a path. */
export interface AttributeCalls {
  /** The current owner of the object. */
  owner(): { readonly uid: number; readonly gid: number };
  /** −1 leaves an id unchanged. */
  chown(uid: number, gid: number): void;
  chmod(mode: number): void;
  utimes(time: number | Date): void;
}

/**
 * Sets attributes in an order that keeps all of them: changing the owner clears set-id bits, and
 * every call may change the mtime. When one fails, the others are still set.
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
  const attempt = (problem: string, call: () => void): void => {
    try {
      call();
    } catch (error) {
      failure ??= fileFailure(error, 'attributes-failed', problem, path);
    }
  };
  if (uid !== undefined || gid !== undefined) {
    attempt('cannot set the owner of', () => {
      const now = calls.owner();
      // Some file systems refuse even to set the current owner.
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
