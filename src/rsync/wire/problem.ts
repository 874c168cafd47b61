/** Turns failures to read a file into errors and into io_error bits of the protocol. */
import { EcsyncError, FileError, VanishedError } from '../../errors.ts';
import { reasonOf } from '../../system-errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from './constants.ts';

/** The path for messages: bytes that are not UTF-8 appear as replacement characters. */
export function pathText(entry: Pick<Entry, 'path'>): string {
  return Buffer.from(entry.path.buffer, entry.path.byteOffset, entry.path.length).toString('utf8');
}

/**
 * Wraps an error that a tree threw; errors that are not ours count as a failure to read the file.
 */
export function asEcsyncError(error: unknown, entry: Entry): EcsyncError {
  if (error instanceof EcsyncError) return error;
  return new FileError('read-failed', `cannot read ${pathText(entry)}: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** The error for a file that changed while it was read. */
export function changedWhileRead(entry: Entry): VanishedError {
  return new VanishedError(
    'changed-while-read',
    `${pathText(entry)} changed while it was being read`,
    { hint: 'The next run sends it again.' },
  );
}

/** The io_error bit that reports an error of this kind to the server. */
export function ioErrorBit(error: EcsyncError): number {
  return error instanceof VanishedError ? IOERR_VANISHED : IOERR_GENERAL;
}
