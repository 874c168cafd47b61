/** One object of a copy as its seal lists it, and the order of the list. */
import { IntegrityError } from '../errors.ts';
import type { Xattr } from '../tree/entry.ts';

/** Kinds of objects, with their numbers in the bytes of a list. */
export const SealedKind = {
  folder: 0,
  file: 1,
  symlink: 2,
  pipe: 3,
  socket: 4,
  characterDevice: 5,
  blockDevice: 6,
  /** Another name of a file that the list has under its least name. */
  link: 7,
} as const;
export type SealedKind = (typeof SealedKind)[keyof typeof SealedKind];

export const CONTENT_ID_LENGTH = 16;
export const IDENTITY_LENGTH = 16;
export const SEAL_DIGEST_LENGTH = 32;

/** The path of the copy's top folder in a list: empty. */
export const SEALED_ROOT: Uint8Array = new Uint8Array(0);

/** Who may do what with an object, and when it was changed. */
export interface SealedAttributes {
  /** Permission bits, `& 07777`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970, may be negative, and 0 to 999,999,999 nanoseconds more. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  /** In the order of their names' bytes; not empty. */
  readonly xattrs?: readonly Xattr[];
}

/** An object that is there under one name, or under the least of its names. */
export type SealedObject =
  SealedFolder | SealedFile | SealedSymlink | SealedPipe | SealedDevice | SealedLink;

interface Named {
  /** In plaintext, relative to the top of the copy; empty for the top itself. */
  readonly path: Uint8Array;
}

export interface SealedFolder extends Named, SealedAttributes {
  readonly kind: typeof SealedKind.folder;
  /** The directory IV, 16 bytes; absent when it follows from the path, or there is none. */
  readonly identity?: Uint8Array;
}

export interface SealedFile extends Named, SealedAttributes {
  readonly kind: typeof SealedKind.file;
  /** Bytes of plaintext. */
  readonly size: number;
  /** Identifies the content (see ContentIdHash), 16 bytes; absent when it is not known. */
  readonly contentId?: Uint8Array;
  /** The file ID, 16 bytes; absent when it follows from the path, or is not known. */
  readonly identity?: Uint8Array;
}

export interface SealedSymlink extends Named, SealedAttributes {
  readonly kind: typeof SealedKind.symlink;
  /** In plaintext. */
  readonly target: Uint8Array;
}

/** A pipe or a socket. */
export interface SealedPipe extends Named, SealedAttributes {
  readonly kind: typeof SealedKind.pipe | typeof SealedKind.socket;
}

export interface SealedDevice extends Named, SealedAttributes {
  readonly kind: typeof SealedKind.characterDevice | typeof SealedKind.blockDevice;
  readonly rdev: { readonly major: number; readonly minor: number };
}

export interface SealedLink extends Named {
  readonly kind: typeof SealedKind.link;
  /** The least name of the file, which is less than `path`. */
  readonly target: Uint8Array;
}

const SLASH = 0x2f;

/**
 * The order of the list: by bytes, `/` before everything else. A folder comes right before what is in
 * it.
 *
 * @returns negative, 0 or positive
 */
export function compareSealedPaths(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a[at] ?? 0;
    const right = b[at] ?? 0;
    if (left !== right) return (left === SLASH ? 0 : left) - (right === SLASH ? 0 : right);
  }
  return a.length - b.length;
}

/** The error for a seal that no ecsync writes: damaged, forged, or of a later version. */
export function sealInvalid(what: string): IntegrityError {
  return new IntegrityError('seal-invalid', `the seal of the copy is damaged: ${what}`, {
    hint: 'The server, or somebody else, has changed it. A copy is read without its seal by --unsealed.',
  });
}
