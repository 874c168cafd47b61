import { BugError, FileError, IntegrityError } from '../errors.ts';
import type { FileIdentity } from '../gocryptfs/identity.ts';
import type { Layout } from '../gocryptfs/layout.ts';
import { cipherSizeToPlainSize, plainSizeToCipherSize } from '../gocryptfs/sizes.ts';
import { isRegularFile, type Entry, type OpenFile } from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';
import type { Attributes, NewFile, Store } from '../tree/store.ts';
import { CipherFile } from './cipher-file.ts';
import { DecryptingFile } from './decrypting-store-file.ts';
import { DecryptionThreads, type DecryptionOptions } from './decryption-threads.ts';
import { isRootPath, pathKey } from './path-bytes.ts';

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

/** How ciphertext is turned into a plaintext folder. */
export interface DecryptingStoreOptions<L extends Entry> {
  readonly layout: Layout;
  /** Where the plaintext goes. */
  readonly target: Store<L>;
  /** By the key of the cipher path; nothing else is ever written. */
  readonly planned: ReadonlyMap<string, Planned>;
  readonly holes: 'allowed' | 'refused';
  readonly unfinished?: Unfinished<L>;
  /** How many threads decrypt; default by the machine and the files. */
  readonly threads?: DecryptionOptions;
}

/**
 * A plaintext folder that is written as if it were the copy: whoever fills it deals in ciphertext
 * only. What is there already looks as the copy would hold it, so that comparing it and taking
 * blocks from it works. Inverse of reading an `EncryptedView`. Close it at the end.
 */
export class DecryptingStore<L extends Entry> implements Store<TargetEntry<L>> {
  readonly #options: DecryptingStoreOptions<L>;
  readonly #threads: DecryptionThreads;

  constructor(options: DecryptingStoreOptions<L>) {
    this.#options = options;
    this.#threads = new DecryptionThreads(options.layout, options.threads);
  }

  /** Ends the threads that decrypt; files that are not finished by then fail. */
  close(): Promise<void> {
    return this.#threads.close();
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
    return this.#encrypted(path, await this.#options.target.open(local));
  }

  /** What an interrupted run left of the file: never the file itself, whatever its size and time. */
  async lookupEarlier(path: Uint8Array): Promise<TargetEntry<L> | undefined> {
    const { unfinished, planned } = this.#options;
    if (unfinished === undefined) return undefined;
    const { targetPath } = planned.get(pathKey(path)) ?? {};
    const local = targetPath && (await unfinished.find(targetPath));
    if (local === undefined) return undefined;
    return { ...local, path, mtimeSec: Number.NaN, local };
  }

  async openEarlier({ path, local }: TargetEntry<L>): Promise<OpenFile> {
    const { unfinished } = this.#options;
    if (unfinished === undefined) throw new BugError('invariant', 'no earlier files');
    return this.#encrypted(path, await unfinished.open(local));
  }

  linkEarlier(path: Uint8Array): Promise<void> {
    return Promise.reject(new BugError('invariant', `${showPath(path)} taken from nowhere`));
  }

  isSameObject(a: TargetEntry<L>, b: TargetEntry<L>): boolean {
    return this.#options.target.isSameObject(a.local, b.local);
  }

  createDirectory(path: Uint8Array): Promise<void> {
    return this.#options.target.createDirectory(this.#place(path).targetPath);
  }

  async createSymlink(path: Uint8Array, cipherTarget: Uint8Array): Promise<void> {
    const { targetPath, plainPath } = this.#place(path);
    let target: Uint8Array;
    try {
      target = this.#options.layout.content.decryptTarget(cipherTarget);
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

  async createFile(path: Uint8Array, sizeHint: number): Promise<NewFile> {
    const { layout, target, holes, unfinished } = this.#options;
    const { targetPath, plainPath } = this.#place(path);
    const { overhead } = layout.content;
    const plain = await target.createFile(targetPath, plainSizeHint(sizeHint, overhead));
    return new DecryptingFile(plain, {
      path: plainPath,
      overhead,
      sizeHint,
      runs: this.#threads.open(plain, { path: plainPath, size: sizeHint }),
      budget: this.#threads.budget,
      holes,
      ...(unfinished && {
        onBrokenOff: (file: NewFile, length: number) => unfinished.keep(file, length),
      }),
    });
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

  #place(path: Uint8Array): Planned {
    const planned = this.#options.planned.get(pathKey(path));
    if (planned !== undefined) return planned;
    throw new BugError('invariant', `${showPath(path)} is to be restored, but was not planned`);
  }

  #asStored(path: Uint8Array, { link }: Planned, local: L): TargetEntry<L> {
    const { mode, mtimeSec, mtimeNsec, uid, gid, rdev } = local;
    const common = { path, mode, mtimeSec, mtimeNsec, uid, gid, local };
    const { overhead } = this.#options.layout.content;
    if (isRegularFile(local)) {
      return { ...common, size: plainSizeToCipherSize(local.size, overhead) };
    }
    if (local.target === undefined) {
      return { ...common, size: local.size, ...(rdev && { rdev }) };
    }
    const isSame = link !== undefined && Buffer.compare(local.target, link.target) === 0;
    // The stored form of another target is unknown, and equal to none.
    const target = isSame ? link.cipherTarget : NOTHING;
    return { ...common, size: target.length, target };
  }

  /** Of no use, but harmless, where the copy's file has another identity than it would get here. */
  #encrypted(path: Uint8Array, plain: OpenFile): CipherFile {
    return CipherFile.over(plain, this.#options.layout.content, this.#identity(path));
  }

  #identity(cipherPath: Uint8Array): FileIdentity {
    const { identities } = this.#options.layout;
    const planned = this.#place(cipherPath);
    const place = planned.identityPlace ?? { plainPath: planned.plainPath, cipherPath };
    const path = identities.derivedFrom === 'cipher path' ? place.cipherPath : place.plainPath;
    return identities.file({ path: isRootPath(path) ? NOTHING : path, counter: 0 });
  }
}

function plainSizeHint(cipherSize: number, overhead: number): number {
  try {
    return cipherSizeToPlainSize(cipherSize, overhead);
  } catch {
    return cipherSize; // content of this length will show what is wrong with it
  }
}
