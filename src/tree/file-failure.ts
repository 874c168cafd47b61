/** Turns failures of the file system into typed errors, and shows paths in them. */
import { FileError, VanishedError, type EcsyncError } from '../errors.ts';
import { errnoOf } from '../platform.ts';
import { systemWords } from '../system-words.ts';

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'Check the permissions, or run as a user who has them.',
  EPERM: 'Check the permissions, or run as a user who has them.',
  EROFS: 'The file system is mounted read-only; mount it writable.',
  ENOSPC: 'The disk is full; free some space and run again.',
  EDQUOT: 'The disk quota is used up; free some space and run again.',
  ENAMETOOLONG: 'The name is too long for this file system; use a shorter one.',
  EMFILE: 'Too many files are open at once; raise the limit (ulimit -n).',
  ENFILE: 'Too many files are open on this machine; close some programs.',
  EIO: 'The disk reported an error; check it before it gets worse.',
  ELOOP: 'A symbolic link stands where a file or folder was expected.',
  EXDEV: 'The temporary folder must be on the same file system as the destination.',
  ENOTEMPTY: 'The folder still holds files that are not part of the copy.',
};

/** A path as people read it. Bytes that are no UTF-8 come out as replacement characters. */
export function showPath(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.length).toString();
}

/**
 * A file system failure in our terms.
 *
 * @param code - of the result: `open-failed`, `read-failed`, `write-failed`, …
 * @param doing - what failed, to be read before the path: `cannot open`
 */
export function fileFailure(
  error: unknown,
  code: string,
  doing: string,
  path: Uint8Array,
): FileError {
  const errno = errnoOf(error);
  const hint = Object.hasOwn(REMEDIES, errno) ? REMEDIES[errno] : undefined;
  const words = systemWords(error);
  const why = words === undefined ? '' : `: ${words}`;
  return new FileError(code, `${doing} ${showPath(path)}${why}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { path: showPath(path), errno },
    cause: error,
  });
}

/** Something that was listed is no longer there, or no longer the same. */
export function vanished(path: Uint8Array, cause?: unknown): VanishedError {
  return new VanishedError('vanished', `${showPath(path)} vanished`, {
    hint: 'It was removed or replaced while ecsync ran; the next run picks it up.',
    facts: { path: showPath(path) },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A stored file is not what it was when it was listed. */
export function changedMeanwhile(path: Uint8Array): VanishedError {
  return new VanishedError('changed', `${showPath(path)} changed while it was read`, {
    hint: 'Something else changes the copy. Wait until it is done and run again.',
    facts: { path: showPath(path) },
  });
}

/**
 * {@link vanished} when the object is missing or something that cannot be opened as a file took its
 * place (a symlink, a socket), {@link fileFailure} `open-failed` for everything else.
 */
export function openFailure(error: unknown, doing: string, path: Uint8Array): EcsyncError {
  const errno = errnoOf(error);
  const isGone = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errno);
  return isGone ? vanished(path, error) : fileFailure(error, 'open-failed', doing, path);
}
