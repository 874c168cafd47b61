/** Turns file system errors into typed errors, and shows paths in messages. */
import { FileError, VanishedError, type EcsyncError, type FileCode } from '../errors.ts';
import { errnoOf } from '../platform.ts';
import { systemReason } from '../system-errors.ts';

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'Check the permissions, or run as a user who has them.',
  EPERM: 'Check the permissions, or run as a user who has them.',
  EROFS: 'The file system is mounted read-only; mount it writable.',
  ENOSPC: 'The disk is full; free some space and run again.',
  EDQUOT: 'The disk quota is used up; free some space and run again.',
  ENAMETOOLONG: 'The name is too long for this file system; use a shorter one.',
  EMFILE: 'Too many files are open at once; raise the limit (ulimit -n).',
  ENFILE: 'Too many files are open on this machine; close some programs.',
  EIO: 'The disk reported an error; check it soon.',
  ELOOP: 'A symbolic link stands where a file or folder was expected.',
  EXDEV: 'The temporary folder must be on the same file system as the destination.',
  ENOENT: 'Check the path.',
  ENOTDIR: 'A part of the path is no folder; check the path.',
  EISDIR: 'A folder stands where a file was expected.',
  EINVAL: 'The file system does not take this name or size.',
  EEXIST: 'Something else has this name; move it away.',
  EBUSY: 'Another program uses it; close that and run again.',
  ENOTEMPTY: 'The folder still holds files that are not part of the copy.',
};

/** A path for people to read. Bytes that are not UTF-8 become replacement characters. */
export function showPath(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString();
}

/**
 * A file system error as a {@link FileError}.
 *
 * @param code - code of the result: `open-failed`, `read-failed`, `write-failed`, …
 * @param problem - what failed, to be read before the path: `cannot open`
 */
export function fileFailure(
  error: unknown,
  code: FileCode,
  problem: string,
  path: Uint8Array,
): FileError {
  const errno = errnoOf(error);
  const hint = Object.hasOwn(REMEDIES, errno) ? REMEDIES[errno] : undefined;
  const words = systemReason(error);
  const why = words === undefined ? '' : `: ${words}`;
  return new FileError(code, `${problem} ${showPath(path)}${why}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { path: showPath(path), errno },
    cause: error,
  });
}

/** The error for a listed object that is gone, or no longer the same. */
export function vanished(path: Uint8Array, cause?: unknown): VanishedError {
  return new VanishedError('vanished', `${showPath(path)} vanished`, {
    hint: 'It was removed or replaced while ecsync ran; the next run picks it up.',
    facts: { path: showPath(path) },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The error for a stored file that changed after it was listed. */
export function changedMeanwhile(path: Uint8Array): VanishedError {
  return new VanishedError('changed', `${showPath(path)} changed while it was read`, {
    hint: 'Another program is changing the copy. Wait until it is done, then run the command again.',
    facts: { path: showPath(path) },
  });
}

/**
 * {@link vanished} when the object is missing or was replaced by something that cannot be opened as
 * a file (a symlink, a socket); {@link fileFailure} `open-failed` for every other error.
 */
export function openFailure(error: unknown, problem: string, path: Uint8Array): EcsyncError {
  const errno = errnoOf(error);
  const isGone = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errno);
  return isGone ? vanished(path, error) : fileFailure(error, 'open-failed', problem, path);
}
