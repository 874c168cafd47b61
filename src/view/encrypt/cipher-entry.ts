/** One object of the encrypted view. */
import { EntryMemory, type Slab } from '../../tree/entry-memory.ts';
import type { Entry, Xattr } from '../../tree/entry.ts';
import type { VirtualKind } from '../inherited.ts';
import type { PathPair } from '../path-translation.ts';

/** One object of the encrypted view. `P` is the plaintext tree's own kind of entry. */
export interface CipherEntry<P extends Entry = Entry> extends Entry {
  /** The plaintext object that this encrypts. Absent exactly for virtual files. */
  readonly plain?: P;
  readonly virtual?: VirtualKind;
  /** Content of a virtual file. */
  readonly bytes?: Uint8Array;
  /** Encrypted; rewritten when a hard-link group gets a common identity. */
  target?: Uint8Array;
  /**
   * The name whose identity this object uses instead of its own: the one with the smallest
   * plaintext path of its hard-link group. Set by `groupHardLinks`.
   */
  identityPlace?: PathPair;
}

/**
 * An object of a view that delegates its common attributes to its plaintext object. There may be
 * very many of these, so nothing is stored twice.
 */
abstract class EntryOverPlain<P extends Entry> implements CipherEntry<P> {
  abstract readonly path: Uint8Array;
  abstract readonly size: number;
  readonly plain: P;
  declare readonly rdev?: { readonly major: number; readonly minor: number };
  declare target?: Uint8Array;
  declare linkGroup?: number;
  declare contentUnknown?: boolean;
  declare xattrs?: readonly Xattr[];
  declare identityPlace?: PathPair;

  constructor(plain: P) {
    this.plain = plain;
    if (plain.rdev !== undefined) this.rdev = plain.rdev;
  }

  get mode(): number {
    return this.plain.mode;
  }
  get mtimeSec(): number {
    return this.plain.mtimeSec;
  }
  get mtimeNsec(): number {
    return this.plain.mtimeNsec;
  }
  get uid(): number {
    return this.plain.uid;
  }
  get gid(): number {
    return this.plain.gid;
  }
}

/** An object as it is. Its `linkGroup` is known only after the whole tree was walked. */
export class MirroredEntry<P extends Entry> extends EntryOverPlain<P> {
  constructor(plain: P) {
    super(plain);
    if (plain.target !== undefined) this.target = plain.target;
  }

  get path(): Uint8Array {
    return this.plain.path;
  }
  get size(): number {
    return this.plain.size;
  }
}

const memory = new EntryMemory();
/** Fields of an encrypted object in its record: size f64. */
const SIZE_LENGTH = 8;

/** An object under its encrypted name. */
export class EncryptedEntry<P extends Entry> extends EntryOverPlain<P> {
  readonly #slab: Slab;
  readonly #at: number;

  /**
   * @param path - in the copy; copied
   * @param size - of the ciphertext, or of an encrypted target
   */
  constructor(plain: P, path: Uint8Array, size: number) {
    super(plain);
    this.#at = memory.add(path, SIZE_LENGTH);
    this.#slab = memory.slab;
    this.#slab.view.setFloat64(this.#at, size, true);
  }

  get path(): Uint8Array {
    return this.#slab.path(this.#at + SIZE_LENGTH);
  }
  get size(): number {
    return this.#slab.view.getFloat64(this.#at, true);
  }
}
