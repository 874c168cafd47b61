/** What rsync's item flags say, and how `-i` shows them. */
import {
  ITEM_REPORT_CHANGE,
  ITEM_REPORT_SIZE,
  ITEM_REPORT_TIME,
  ITEM_REPORT_PERMS,
  ITEM_REPORT_OWNER,
  ITEM_REPORT_GROUP,
  ITEM_REPORT_ACL,
  ITEM_REPORT_XATTR,
  ITEM_XNAME_FOLLOWS,
  ITEM_IS_NEW,
  ITEM_LOCAL_CHANGE,
  ITEM_TRANSFER,
} from '../../../rsync/wire/constants.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../tree/entry.ts';

/** Bits that make `-i` print a line. */
const SIGNIFICANT =
  ITEM_TRANSFER |
  ITEM_LOCAL_CHANGE |
  ITEM_IS_NEW |
  ITEM_REPORT_CHANGE |
  ITEM_REPORT_SIZE |
  ITEM_REPORT_TIME |
  ITEM_REPORT_PERMS |
  ITEM_REPORT_OWNER |
  ITEM_REPORT_GROUP |
  ITEM_REPORT_ACL |
  ITEM_REPORT_XATTR;

/** What `-i` prints for a deleted object: eleven characters. */
export const DELETING = '*deleting  ';

/** The same record without changes of permissions and owners. */
export function withoutModeAndOwner(iflags: number): number {
  return iflags & ~(ITEM_REPORT_PERMS | ITEM_REPORT_OWNER | ITEM_REPORT_GROUP);
}

export function isSignificant(iflags: number): boolean {
  return (iflags & SIGNIFICANT) !== 0;
}
export function isTransfer(iflags: number): boolean {
  return (iflags & ITEM_TRANSFER) !== 0;
}
export function isOtherSize(iflags: number): boolean {
  return (iflags & ITEM_REPORT_SIZE) !== 0;
}
export function isNew(iflags: number): boolean {
  return (iflags & ITEM_IS_NEW) !== 0;
}
/** Whether a record reports that a folder was created, including one that has a staged double. */
export function isCreation(iflags: number): boolean {
  return (iflags & ITEM_LOCAL_CHANGE) !== 0;
}
/** The same record as it would be without a staged double. */
export function asNew(iflags: number): number {
  return iflags | ITEM_IS_NEW | ITEM_LOCAL_CHANGE;
}
/** The record of a partially received file, as it would be for a missing file. */
export function asNewFile(iflags: number): number {
  return iflags | ITEM_IS_NEW;
}
/** The record of a new name for an existing file. */
export const LINKED = ITEM_LOCAL_CHANGE | ITEM_XNAME_FOLLOWS | ITEM_IS_NEW;

export function isHardLink(iflags: number): boolean {
  return (iflags & ITEM_XNAME_FOLLOWS) !== 0 && (iflags & ITEM_LOCAL_CHANGE) !== 0;
}

/** The server requests a file that it has with the same size and another time. */
export function isWantedForItsTime(iflags: number): boolean {
  const isThere = isTransfer(iflags) && !isNew(iflags) && !isOtherSize(iflags);
  return isThere && (iflags & ITEM_REPORT_TIME) !== 0;
}

/** Attributes that differ, among those that a push can leave out. */
export function differingAttributes(iflags: number): {
  readonly perms?: true;
  readonly owner?: true;
  readonly group?: true;
} {
  return {
    ...((iflags & ITEM_REPORT_PERMS) !== 0 && { perms: true }),
    ...((iflags & ITEM_REPORT_OWNER) !== 0 && { owner: true }),
    ...((iflags & ITEM_REPORT_GROUP) !== 0 && { group: true }),
  };
}

/** Names of the attributes that differ. */
export function changedAttributes(iflags: number): string[] {
  return ATTRIBUTE_NAMES.filter(([bit]) => (iflags & bit) !== 0)
    .map(([, name]): string => name)
    .concat(isHardLink(iflags) ? ['hard link'] : []);
}

const ATTRIBUTE_NAMES = [
  [ITEM_REPORT_TIME, 'time'],
  [ITEM_REPORT_PERMS, 'permissions'],
  [ITEM_REPORT_OWNER, 'owner'],
  [ITEM_REPORT_GROUP, 'group'],
  [ITEM_REPORT_ACL, 'access list'],
  [ITEM_REPORT_XATTR, 'extended attributes'],
] as const;

function typeLetter(mode: number): string {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'f';
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'L';
    case S_IFCHR:
    case S_IFBLK:
      return 'D';
    default:
      return 'S';
  }
}

function updateLetter(iflags: number): string {
  if (isHardLink(iflags)) return 'h';
  if ((iflags & ITEM_LOCAL_CHANGE) !== 0) return 'c';
  return isTransfer(iflags) ? '<' : '.';
}

/**
 * rsync's eleven-character change summary, as `-i` prints it on the sending side.
 *
 * ```
 * YXcstpoguax   Y: < sent, c created, h hard-linked, . attributes only
 *               X: f file, d directory, L symlink, D device, S special
 *               then + for new objects, otherwise one letter or dot per attribute
 * ```
 *
 * @see rsync log.c log_formatted, case 'i' (3.5.0); rsync(1) --itemize-changes
 */
export function itemize(mode: number, iflags: number): string {
  const head = updateLetter(iflags) + typeLetter(mode);
  if (isNew(iflags)) return head + '+++++++++';
  const letter = (bit: number, shown: string): string => ((iflags & bit) === 0 ? '.' : shown);
  return (
    head +
    letter(ITEM_REPORT_CHANGE, 'c') +
    letter((mode & S_IFMT) === S_IFREG ? ITEM_REPORT_SIZE : 0, 's') +
    letter(ITEM_REPORT_TIME, 't') +
    letter(ITEM_REPORT_PERMS, 'p') +
    letter(ITEM_REPORT_OWNER, 'o') +
    letter(ITEM_REPORT_GROUP, 'g') +
    '.' +
    letter(ITEM_REPORT_ACL, 'a') +
    letter(ITEM_REPORT_XATTR, 'x')
  );
}
