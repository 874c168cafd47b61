/** Reads the conf in a local encrypted folder. */
import path from 'node:path';
import { CONF_NAME } from '../gocryptfs/names/names.ts';
import { fileFailure } from '../tree/file-failure.ts';
import { readConfOfFolder } from '../vault/stored-conf.ts';

/**
 * @returns `absent`, or `unusable` if the object of its name is no regular file of a reasonable
 *   size
 * @throws {FileError} `open-failed`
 */
export function confOfFolder(folder: string): Uint8Array | 'absent' | 'unusable' {
  try {
    return readConfOfFolder(folder);
  } catch (error) {
    const file = path.join(folder, CONF_NAME);
    throw fileFailure(error, 'open-failed', 'cannot read', Buffer.from(file));
  }
}
