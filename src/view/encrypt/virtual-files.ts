/** The files that exist only in the encrypted view, with their attributes. */
import {
  CONF_NAME_BYTES,
  DIR_IV_NAME_BYTES,
  NAME_FILE_SUFFIX,
} from '../../gocryptfs/names/names.ts';
import { S_IFREG, type Entry } from '../../tree/entry.ts';
import { keepBytes } from '../../bytes/path-memory.ts';
import type { Inherited, InheritedKind, VirtualAttributes, VirtualKind } from '../inherited.ts';
import { joinPath } from '../../bytes/paths.ts';

/**
 * mtime of every diriv and `.name` file: 2001-09-09T01:46:40Z. Their content follows from the path,
 * so an mtime that changed with the directory's would only make rsync compare them again.
 */
export const VIRTUAL_MTIME_SEC = 1_000_000_000;

const READABLE = 0o444;
const OWNER_READABLE = 0o400;
const PERMISSION_BITS = 0o7777;
export const NAME_FILE_SUFFIX_BYTES = Buffer.from(NAME_FILE_SUFFIX);

/** Content and attributes of `gocryptfs.conf` in the root of the view. */
export interface ConfFile {
  readonly bytes: Uint8Array;
  readonly mtimeSec: number;
  /** 0 when absent. */
  readonly mtimeNsec?: number;
  /** Permission bits; 0400 when absent. */
  readonly mode?: number;
  /** That of the root directory when absent. */
  readonly uid?: number;
  readonly gid?: number;
}

/**
 * mtimes of diriv and `.name` files: ecsync's constant, or as `gocryptfs -reverse` sets them: the
 * mtime of the directory or of the object, plus a shift (0 s up to gocryptfs 2.4, 10 s since).
 */
export type VirtualTimes = 'fixed' | { readonly shiftSec: 0 | 10 };

/** A virtual file with its content. */
export interface VirtualFile extends Entry {
  readonly virtual: VirtualKind;
  readonly bytes: Uint8Array;
}

/**
 * The object that gives a virtual file its attributes: its directory, or the object with the long
 * name.
 */
type Owner = Pick<Entry, 'mtimeSec' | 'mtimeNsec' | 'uid' | 'gid'>;

/** Makes the virtual files of one view. Inherited attributes take precedence. */
export class VirtualFiles {
  readonly #conf: ConfFile;
  readonly #times: VirtualTimes;
  readonly #inherited: Inherited | undefined;

  constructor(
    conf: ConfFile,
    options: {
      readonly times?: VirtualTimes | undefined;
      readonly inherited?: Inherited | undefined;
    } = {},
  ) {
    this.#conf = conf;
    this.#times = options.times ?? 'fixed';
    this.#inherited = options.inherited;
  }

  /** The conf, for the root only. */
  conf(root: Entry): VirtualFile {
    const { bytes, mtimeSec, mtimeNsec = 0, mode = OWNER_READABLE } = this.#conf;
    const { uid = root.uid, gid = root.gid } = this.#conf;
    return virtualFile('conf', CONF_NAME_BYTES, bytes, { mode, mtimeSec, mtimeNsec, uid, gid });
  }

  /** A directory's IV. */
  dirIV(
    directory: Entry & { readonly plain?: { readonly path: Uint8Array } },
    dirIV: Uint8Array,
  ): VirtualFile {
    const plainPath = directory.plain?.path ?? directory.path;
    const attributes = this.#attributes('diriv', plainPath, directory);
    const { uid, gid } = directory;
    const path = joinPath(directory.path, DIR_IV_NAME_BYTES);
    return virtualFile('diriv', path, dirIV, { ...attributes, uid, gid });
  }

  /**
   * The `.name` file: the full name of an object whose name is hashed.
   *
   * @param object - with its cipher path and its attributes
   */
  nameFile(
    directory: Entry,
    object: Entry & { readonly plain?: { readonly path: Uint8Array } },
    fullName: Uint8Array,
  ): VirtualFile {
    const plainPath = object.plain?.path ?? object.path;
    const attributes = this.#attributes('name', plainPath, object);
    const { uid, gid } = this.#times === 'fixed' ? directory : object;
    const path = keepBytes(Buffer.concat([object.path, NAME_FILE_SUFFIX_BYTES]));
    return virtualFile('name', path, fullName, { ...attributes, uid, gid });
  }

  #attributes(kind: InheritedKind, plainPath: Uint8Array, owner: Owner): VirtualAttributes {
    const inherited = this.#inherited?.virtualAttributes(kind, plainPath);
    if (inherited !== undefined) return inherited;
    if (this.#times === 'fixed') return FIXED;
    const { mtimeSec, mtimeNsec } = owner;
    return { mode: READABLE, mtimeSec: mtimeSec + this.#times.shiftSec, mtimeNsec };
  }
}

const FIXED: VirtualAttributes = { mode: READABLE, mtimeSec: VIRTUAL_MTIME_SEC, mtimeNsec: 0 };

function virtualFile(
  virtual: VirtualKind,
  path: Uint8Array,
  bytes: Uint8Array,
  attributes: VirtualAttributes & Pick<Entry, 'uid' | 'gid'>,
): VirtualFile {
  const { mode, mtimeSec, mtimeNsec, uid, gid } = attributes;
  return {
    path,
    mode: S_IFREG | (mode & PERMISSION_BITS),
    size: bytes.length,
    mtimeSec,
    mtimeNsec,
    uid,
    gid,
    virtual,
    bytes: keepBytes(bytes),
  };
}
