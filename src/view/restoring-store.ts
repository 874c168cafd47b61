/** A plaintext folder that is written as if it were the copy. */
import { BugError, FileError, IntegrityError } from '../errors.ts';
import { isRegularFile, type Entry, type OpenFile, type Xattr } from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';
import type { Attributes, NewFile, Store } from '../tree/store.ts';
import { AnnouncedFile } from './announced-file.ts';
import { pathKey } from './path-bytes.ts';

const NOTHING = new Uint8Array(0);
const NO_PATHS: Promise<readonly Uint8Array[]> = Promise.resolve([]);

/** Where one object of a copy goes. */
export interface Planned {
  readonly plainPath: Uint8Array;
  /** Below the root of the target; differs from the plaintext path where that cannot be a name. */
  readonly targetPath: Uint8Array;
  /** Of a symlink: where it leads, in plaintext and as stored. */
  readonly link?: { readonly target: Uint8Array; readonly cipherTarget: Uint8Array };
  /** The name whose identity the file has, when that is a hard link of another name. */
  readonly identityPlace?: { readonly plainPath: Uint8Array; readonly cipherPath: Uint8Array };
}

/** An object of the target as the copy would hold it. */
export interface TargetEntry<L extends Entry> extends Entry {
  /** What is there. */
  readonly local: L;
}

/** What an interrupted run left of files, to go on from. */
export interface Unfinished<L extends Entry> {
  /** A file that may be the beginning of the one that is to be at the path. */
  find(targetPath: Uint8Array): Promise<L | undefined>;
  open(entry: L): Promise<OpenFile>;
  /** Takes over a file that is broken off. */
  keep(file: NewFile, length: number): Promise<void>;
}

/** One object by both of its paths. */
export interface StoredObject {
  readonly cipherPath: Uint8Array;
  readonly planned: Planned;
  /** What is in its place is: see `Entry`. */
  readonly isSparse?: boolean | undefined;
}

/** How a copy stores what is plain in the target. */
export interface StoredForm {
  /** Length of the stored content of a file. */
  storedSize(plainSize: number): number;
  /** A file of the target as the copy would hold it. */
  stored(object: StoredObject, plain: OpenFile): OpenFile;
  /** @returns the length of what is stored so, or that length itself if there is none */
  plainSizeHint(storedSize: number): number;
  /**
   * A file that is written as stored and arises as it is in plaintext.
   *
   * @param about.sizeHint - of what is stored
   * @param about.onBrokenOff - takes the place of `discard` for a file that is whole so far
   */
  receiving(
    plain: NewFile,
    about: {
      readonly path: Uint8Array;
      readonly cipherPath: Uint8Array;
      readonly sizeHint: number;
      readonly onBrokenOff?: (file: NewFile, length: number) => Promise<void>;
    },
  ): NewFile;
  /**
   * Where a symlink leads.
   *
   * @throws {IntegrityError} not what the key wrote
   */
  plainTarget(storedTarget: Uint8Array): Uint8Array;
  /**
   * An extended attribute as it was before it was stored.
   *
   * @returns undefined for one that is no part of the copy
   * @throws {IntegrityError} `xattr-name-invalid`, `xattr-value-invalid` — not what the key wrote
   */
  plainXattr(stored: Xattr): Xattr | undefined;
  /** Files that are not finished by then fail. */
  close(): Promise<void>;
}

/** Where a copy is restored to. */
export interface RestoringStoreOptions<L extends Entry> {
  readonly form: StoredForm;
  /** Where the plaintext goes. */
  readonly target: Store<L>;
  /** By the key of the cipher path; nothing else is ever written. */
  readonly planned: ReadonlyMap<string, Planned>;
  readonly unfinished?: Unfinished<L>;
}

/**
 * A plaintext folder that is written as if it were the copy: whoever fills it deals in what is
 * stored there only. What is there already looks as the copy would hold it, so that comparing it
 * and taking blocks from it works.
 */
export class RestoringStore<L extends Entry> implements Store<TargetEntry<L>> {
  readonly #options: RestoringStoreOptions<L>;

  constructor(options: RestoringStoreOptions<L>) {
    this.#options = options;
  }

  prepare(): Promise<void> {
    return this.#options.target.prepare();
  }

  async lookup(path: Uint8Array): Promise<TargetEntry<L> | undefined> {
    const planned = this.#options.planned.get(pathKey(path));
    const local = planned && (await this.#options.target.lookup(planned.targetPath));
    return local && this.#asStored(path, planned, local);
  }

  /** Only plaintext objects that the copy lacks could be missing here, and those stay. */
  list(): Promise<readonly Uint8Array[]> {
    return NO_PATHS;
  }

  async open({ path, local }: TargetEntry<L>): Promise<OpenFile> {
    return this.#stored(path, local, await this.#options.target.open(local));
  }

  /** What an interrupted run left of the file: never the file itself, whatever its size and time. */
  async lookupEarlier(path: Uint8Array): Promise<TargetEntry<L> | undefined> {
    const { unfinished, planned } = this.#options;
    if (unfinished === undefined) return undefined;
    const { targetPath } = planned.get(pathKey(path)) ?? {};
    const local = targetPath && (await unfinished.find(targetPath));
    if (local === undefined) return undefined;
    const { mode, size, mtimeNsec, uid, gid } = local;
    return { path, mode, size, mtimeSec: Number.NaN, mtimeNsec, uid, gid, local };
  }

  async openEarlier({ path, local }: TargetEntry<L>): Promise<OpenFile> {
    const { unfinished } = this.#options;
    if (unfinished === undefined) throw new BugError('invariant', 'no earlier files');
    return this.#stored(path, local, await unfinished.open(local));
  }

  linkEarlier(path: Uint8Array): Promise<void> {
    return Promise.reject(new BugError('invariant', `${showPath(path)} taken from nowhere`));
  }

  isSameObject(a: TargetEntry<L>, b: TargetEntry<L>): boolean {
    return this.#options.target.isSameObject(a.local, b.local);
  }

  createDirectory(path: Uint8Array, mode: number): Promise<void> {
    return this.#options.target.createDirectory(this.#place(path).targetPath, mode);
  }

  async createSymlink(path: Uint8Array, cipherTarget: Uint8Array): Promise<void> {
    const { targetPath, plainPath } = this.#place(path);
    let target: Uint8Array;
    try {
      target = this.#options.form.plainTarget(cipherTarget);
    } catch (cause) {
      if (!(cause instanceof IntegrityError)) throw cause;
      const shown = showPath(plainPath);
      throw new FileError(
        'content-damaged',
        `${shown}: where the link leads cannot be decrypted; not restored`,
        { facts: { path: shown }, cause },
      );
    }
    await this.#options.target.createSymlink(targetPath, target);
  }

  createLink(path: Uint8Array, existing: Uint8Array): Promise<void> {
    const { target } = this.#options;
    return target.createLink(this.#place(path).targetPath, this.#place(existing).targetPath);
  }

  createSpecial(entry: Entry): Promise<void> {
    const path = this.#place(entry.path).targetPath;
    return this.#options.target.createSpecial({ ...entry, path });
  }

  /** @param size - as the copy lists it: a file of another length does not get its name */
  async createFile(path: Uint8Array, size: number): Promise<NewFile> {
    const { form, target, unfinished } = this.#options;
    const { targetPath, plainPath } = this.#place(path);
    const plain = await target.createFile(targetPath, form.plainSizeHint(size));
    const file = form.receiving(plain, {
      path: plainPath,
      cipherPath: path,
      sizeHint: size,
      ...(unfinished && {
        onBrokenOff: (file: NewFile, length: number) => unfinished.keep(file, length),
      }),
    });
    return new AnnouncedFile(file, { path: plainPath, size });
  }

  setAttributes(entry: Pick<Entry, 'path' | 'mode'>, attributes: Attributes): Promise<void> {
    const path = this.#place(entry.path).targetPath;
    return this.#options.target.setAttributes({ path, mode: entry.mode }, attributes);
  }

  removeFile(path: Uint8Array): Promise<void> {
    return this.#options.target.removeFile(this.#place(path).targetPath);
  }

  removeDirectory(path: Uint8Array): Promise<void> {
    return this.#options.target.removeDirectory(this.#place(path).targetPath);
  }

  settle(): Promise<void> {
    return this.#options.target.settle();
  }

  #place(path: Uint8Array): Planned {
    const planned = this.#options.planned.get(pathKey(path));
    if (planned !== undefined) return planned;
    throw new BugError('invariant', `${showPath(path)} is to be restored, but was not planned`);
  }

  #asStored(path: Uint8Array, { link }: Planned, local: L): TargetEntry<L> {
    const { mode, mtimeSec, mtimeNsec, uid, gid, rdev } = local;
    const common = { path, mode, mtimeSec, mtimeNsec, uid, gid, local };
    if (isRegularFile(local)) {
      return { ...common, size: this.#options.form.storedSize(local.size) };
    }
    if (local.target === undefined) {
      return { ...common, size: local.size, ...(rdev && { rdev }) };
    }
    const isSame = link !== undefined && Buffer.compare(local.target, link.target) === 0;
    // The stored form of another target is unknown, and equal to none.
    const target = isSame ? link.cipherTarget : NOTHING;
    return { ...common, size: target.length, target };
  }

  #stored(path: Uint8Array, { isSparse }: L, plain: OpenFile): OpenFile {
    const object = { cipherPath: path, planned: this.#place(path), isSparse };
    return this.#options.form.stored(object, plain);
  }
}
