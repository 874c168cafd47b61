/** Sentences for findings. `--json` prints their codes. */
import type { BlockRange } from '../../sync/copy/fsck-finding.ts';

/** Sentences about whole objects, shown after their path. */
const OF_OBJECTS: Readonly<Record<string, string>> = {
  'diriv-missing': 'the folder has no gocryptfs.diriv, so nothing in it can be read',
  'diriv-invalid': 'the gocryptfs.diriv of the folder is damaged, so nothing in it can be read',
  'diriv-lost':
    'the gocryptfs.diriv of the folder is lost or damaged; the folder was read without it',
  'diriv-misplaced': 'the folder has the gocryptfs.diriv of another folder',
  'diriv-repeated': 'the folder has the same gocryptfs.diriv as another folder',
  'diriv-stale':
    'the folder has the gocryptfs.diriv of another place, so nothing in it can be read',
  'diriv-wrong': 'no name in the folder can be decrypted with its gocryptfs.diriv',
  'diriv-unexpected': 'a gocryptfs.diriv is there, and this layout has none',
  'conf-misplaced': 'a gocryptfs.conf is below the top folder',
  'conf-missing': 'the copy has no gocryptfs.conf, so only the master key opens it',
  'conf-invalid': 'gocryptfs.conf is damaged, so only the master key opens the copy',
  'conf-flags-differ': "gocryptfs.conf says another layout than the vault's",
  'conf-differs': "gocryptfs.conf is not the vault's (a new password that was not pushed?)",
  'unfinished-push': 'a push that did not finish has left files here; they are no part of the copy',
  'foreign-object': 'this is not something that gocryptfs writes',
  'name-invalid': 'the name cannot be decrypted',
  'name-form-invalid': 'the name is stored in a form in which gocryptfs does not look for it',
  'name-file-missing': 'the file that holds the long name is missing',
  'name-file-invalid': 'the file that holds the long name is damaged',
  'name-file-orphan': 'the file of a long name is left over, and nothing has that name',
  'target-invalid': 'where the link leads cannot be decrypted',
  'target-misplaced': 'the link has the target of another link',
  'cipher-size-illegal': 'the file was cut off or lengthened: no file has this encrypted size',
  'header-invalid': 'the beginning of the file (its header) is damaged',
  'tag-mismatch': 'the content is damaged',
  'nonce-zero': 'the content is damaged',
  'xattr-name-invalid': 'the name of an extended attribute is damaged',
  'xattr-value-invalid': 'the value of an extended attribute is damaged',
  vanished: 'it vanished while the copy was read',
  changed: 'it changed while it was read',
};

/** Predicates for blocks, shown after `block 3 ` and after `blocks 3 to 5 `. */
const OF_BLOCKS: Readonly<Record<string, readonly [one: string, several: string]>> = {
  'tag-mismatch': ['is damaged', 'are damaged'],
  'nonce-zero': ['is damaged', 'are damaged'],
  'block-size-illegal': ['is damaged', 'are damaged'],
  'nonce-foreign': ['was not written by ecsync', 'were not written by ecsync'],
  hole: ['holds zeros that no key vouches for', 'hold zeros that no key vouches for'],
  'hole-filled': ['comes after a hole that was filled', 'come after a hole that was filled'],
};

/** A finding to describe. */
export interface Described {
  readonly code: string;
  /** A sentence that names the object. */
  readonly message: string;
  /** Whether the object could not be examined. */
  readonly isUnread: boolean;
  readonly blocks?: BlockRange | undefined;
}

/**
 * One line of text: `docs/a.txt: block 3 is damaged`. A code without fixed words has a specific
 * message, such as which files were exchanged.
 *
 * @param place - the object, as it is shown
 */
export function describeFinding(place: string, finding: Described): string {
  const { code, message, isUnread, blocks } = finding;
  const ofBlocks = OF_BLOCKS[code];
  if (blocks !== undefined && ofBlocks !== undefined) {
    const { first, last } = blocks;
    const [one, several] = ofBlocks;
    return first === last
      ? `${place}: block ${first} ${one}`
      : `${place}: blocks ${first} to ${last} ${several}`;
  }
  const words = OF_OBJECTS[code];
  if (words !== undefined) return `${place}: ${words}`;
  return isUnread ? `${place}: it could not be read (${message})` : message;
}
