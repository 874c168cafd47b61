/** Turns failures to read a file into errors, and into the bits and texts of the protocol. */
import { EcsyncError, FileError, VanishedError } from '../../errors.ts';
import { reasonOf } from '../../system-words.ts';
import type { Entry } from '../../tree/entry.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from './constants.ts';

/** The path as a message shows it: what is not UTF-8 appears as replacement characters. */
export function shownPath(entry: Pick<Entry, 'path'>): string {
  return Buffer.from(entry.path.buffer, entry.path.byteOffset, entry.path.length).toString('utf8');
}

/** What a tree threw, as one of our errors: anything else counts as a failure to read the file. */
export function asEcsyncError(error: unknown, entry: Entry): EcsyncError {
  if (error instanceof EcsyncError) return error;
  return new FileError('read-failed', `cannot read ${shownPath(entry)}: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** The file was not the same any more when it had been read. */
export function changedWhileRead(entry: Entry): VanishedError {
  return new VanishedError(
    'changed-while-read',
    `${shownPath(entry)} changed while it was being read`,
    { hint: 'The next run sends it again.' },
  );
}

/** The bit of io_error that tells the server about an error of this kind. */
export function ioErrorBit(error: EcsyncError): number {
  return error instanceof VanishedError ? IOERR_VANISHED : IOERR_GENERAL;
}
