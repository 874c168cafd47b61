/** The conf in an encrypted folder of this machine. */
import path from 'node:path';
import { CONF_NAME } from '../gocryptfs/names/names.ts';
import { fileFailure } from '../tree/file-failure.ts';
import { readConfOfFolder } from '../vault/stored-conf.ts';

/**
 * @returns `absent`, or `unusable` when something has its name that is no plain file of sane size
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
