/** A plaintext folder that is written as if it were the copy. */
import { BugError, FileError, IntegrityError } from '../errors.ts';
import { isRegularFile, type Entry, type OpenFile, type Xattr } from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';
import type { Attributes, NewFile, Store } from '../tree/store.ts';
import { AnnouncedFile } from './announced-file.ts';
import { pathKey } from '../bytes/paths.ts';

const NOTHING = new Uint8Array(0);
const NO_PATHS: Promise<readonly Uint8Array[]> = Promise.resolve([]);

/** Where one object of a copy goes. */
export interface Planned {
  readonly plainPath: Uint8Array;
  /** Below the root of the target; differs from the plaintext path where that cannot be a name. */
  readonly targetPath: Uint8Array;
  /** For a symlink: its target, in plaintext and as stored. */
  readonly link?: { readonly target: Uint8Array; readonly cipherTarget: Uint8Array };
  /** For a hard link of another name: the name whose identity the file has. */
  readonly identityPlace?: { readonly plainPath: Uint8Array; readonly cipherPath: Uint8Array };
}

/** An object of the target as the copy would hold it. */
export interface TargetEntry<L extends Entry> extends Entry {
  /** The existing object in the target. */
  readonly local: L;
}

/** Partial files that an interrupted run left, to continue from. */
export interface Unfinished<L extends Entry> {
  /** A file that may be the beginning of the file for this path. */
  find(targetPath: Uint8Array): Promise<L | undefined>;
  open(entry: L): Promise<OpenFile>;
  /** Keeps an interrupted file. */
  keep(file: NewFile, length: number): Promise<void>;
}

/** One object by both of its paths. */
export interface StoredObject {
  readonly cipherPath: Uint8Array;
  readonly planned: Planned;
  /** Of the existing object in its place: see `Entry`. */
  readonly isSparse?: boolean | undefined;
}

/** How a copy stores what the target holds in plaintext. */
export interface StoredForm {
  /** Length of a file's stored content. */
  storedSize(plainSize: number): number;
  /** A file of the target as the copy would hold it. */
  stored(object: StoredObject, plain: OpenFile): OpenFile;
  /**
   * @returns the plaintext length for a stored length, or that length itself where there is none
   */
  plainSizeHint(storedSize: number): number;
  /**
   * A file that takes stored content and writes its plaintext.
   *
   * @param about.sizeHint - length of the stored content
   * @param about.onInterrupted - called instead of `discard` when all content so far is authentic
   */
  receive(
    plain: NewFile,
    about: {
      readonly path: Uint8Array;
      readonly cipherPath: Uint8Array;
      readonly sizeHint: number;
      readonly onInterrupted?: (file: NewFile, length: number) => Promise<void>;
    },
  ): NewFile;
  /**
   * The target of a symlink in plaintext.
   *
   * @throws {IntegrityError} the key did not write it
   */
  plainTarget(storedTarget: Uint8Array): Uint8Array;
  /**
   * An extended attribute in plaintext.
   *
   * @returns undefined for one that does not belong to the copy
   * @throws {IntegrityError} `xattr-name-invalid`, `xattr-value-invalid` — the key did not write it
   */
  plainXattr(stored: Xattr): Xattr | undefined;
  /** Unfinished files fail from then on. */
  close(): Promise<void>;
}

/** Where a copy is restored to. */
export interface RestoringStoreOptions<L extends Entry> {
  readonly form: StoredForm;
  /** Where the plaintext goes. */
  readonly target: Store<L>;
  /** By the key of the cipher path. Nothing else is ever written. */
  readonly planned: ReadonlyMap<string, Planned>;
  readonly unfinished?: Unfinished<L>;
}

/**
 * A plaintext folder that is written as if it were the copy: its caller sees stored content only.
 * Existing objects appear as the copy would hold them, so that the caller can compare them and
 * reuse their blocks.
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

  /**
   * Empty: only objects that the copy lacks could be listed for deletion, and a restore keeps
   * those.
   */
  list(): Promise<readonly Uint8Array[]> {
    return NO_PATHS;
  }

  async open({ path, local }: TargetEntry<L>): Promise<OpenFile> {
    return this.#stored(path, local, await this.#options.target.open(local));
  }

  /**
   * The partial file of an interrupted run. Its time is NaN, so it never counts as the file itself.
   */
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
    return Promise.reject(
      new BugError('invariant', `${showPath(path)} linked to an earlier file, but there are none`),
    );
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
        `${shown}: the link's target cannot be decrypted; not restored`,
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

  /** @param size - as the copy lists it; a file of another length does not get its name */
  async createFile(path: Uint8Array, size: number): Promise<NewFile> {
    const { form, target, unfinished } = this.#options;
    const { targetPath, plainPath } = this.#place(path);
    const plain = await target.createFile(targetPath, form.plainSizeHint(size));
    const file = form.receive(plain, {
      path: plainPath,
      cipherPath: path,
      sizeHint: size,
      ...(unfinished && {
        onInterrupted: (file: NewFile, length: number) => unfinished.keep(file, length),
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
    throw new BugError('invariant', `${showPath(path)} is being restored, but is not in the plan`);
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
    // The stored form of any other target is unknown, and equals no target.
    const target = isSame ? link.cipherTarget : NOTHING;
    return { ...common, size: target.length, target };
  }

  #stored(path: Uint8Array, { isSparse }: L, plain: OpenFile): OpenFile {
    const object = { cipherPath: path, planned: this.#place(path), isSparse };
    return this.#options.form.stored(object, plain);
  }
}
