/** Makes pipes, sockets and devices in a local folder. */
import { S_IFBLK, S_IFCHR, S_IFIFO, S_IFMT, S_IFSOCK, type Entry } from '../../tree/entry.ts';
import { makeSpecialFile, type SpecialFile } from '../../transport/programs/special-files.ts';

const SPECIAL_KINDS: Readonly<Record<number, SpecialFile['kind']>> = {
  [S_IFIFO]: 'pipe',
  [S_IFSOCK]: 'socket',
  [S_IFBLK]: 'block-device',
  [S_IFCHR]: 'character-device',
};

/**
 * Makes the pipe, socket or device that an entry describes.
 *
 * @returns false if this machine cannot make it
 */
export function makeSpecial(fullPath: string, entry: Entry): boolean {
  const kind = SPECIAL_KINDS[entry.mode & S_IFMT];
  const { major, minor } = entry.rdev ?? { major: 0, minor: 0 };
  return kind !== undefined && makeSpecialFile(fullPath, { kind, major, minor });
}
