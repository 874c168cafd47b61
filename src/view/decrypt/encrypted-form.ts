/** How an encrypted copy stores what a restore's target holds in plaintext. */
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import type { Layout } from '../../gocryptfs/layout.ts';
import { cipherSizeToPlainSize, plainSizeToCipherSize } from '../../gocryptfs/format/sizes.ts';
import type { OpenFile, Xattr } from '../../tree/entry.ts';
import type { NewFile } from '../../tree/store.ts';
import { CipherFile } from '../encrypt/cipher-file.ts';
import { DecryptingFile } from './decrypting-store-file.ts';
import { DecryptionThreads, type DecryptionOptions } from './decryption-threads.ts';
import type { HoleRule } from '../hole-rule.ts';
import { isRootPath } from '../../bytes/paths.ts';
import type { StoredForm, StoredObject } from '../restoring-store.ts';

const NOTHING = new Uint8Array(0);

/** How the files of a copy are checked while they are restored. */
export interface EncryptedFormOptions {
  /** How to judge full blocks of zeros, without `admit`. */
  readonly holes: HoleRule;
  /**
   * Judges a file by its ID before any of it is decrypted, and gives the rule for its holes.
   *
   * @param file.size - size of the stored file
   * @throws {IntegrityError} the file must not be restored
   */
  readonly admit?: (
    file: {
      readonly plainPath: Uint8Array;
      readonly cipherPath: Uint8Array;
      readonly size: number;
    },
    fileID: Uint8Array,
  ) => HoleRule;
  /**
   * Called for a restored file with the number of unvouched blocks of holes that were allowed in
   * it.
   */
  readonly onHoles?: (plainPath: Uint8Array, count: number) => void;
  /** How many threads decrypt; default: by the machine and the files. */
  readonly threads?: DecryptionOptions;
}

/**
 * The stored form of an encrypted copy: its content is ciphertext. Inverse of reading an
 * `EncryptedView`.
 */
export class EncryptedForm implements StoredForm {
  readonly #layout: Layout;
  readonly #options: EncryptedFormOptions;
  readonly #threads: DecryptionThreads;

  constructor(layout: Layout, options: EncryptedFormOptions) {
    this.#layout = layout;
    this.#options = options;
    this.#threads = new DecryptionThreads(layout, options.threads);
  }

  storedSize(plainSize: number): number {
    return plainSizeToCipherSize(plainSize, this.#layout.content.overhead);
  }

  plainSizeHint(storedSize: number): number {
    try {
      return cipherSizeToPlainSize(storedSize, this.#layout.content.overhead);
    } catch {
      return storedSize; // decrypting content of this length reports the error
    }
  }

  /** Useless, but harmless, where the copy's file has another identity than its path gives. */
  stored(object: StoredObject, plain: OpenFile): OpenFile {
    const { isSparse } = object;
    const identity = this.#identity(object);
    return CipherFile.over({ plain, identity, isSparse }, this.#layout.content);
  }

  receive(plain: NewFile, about: Parameters<StoredForm['receive']>[1]): NewFile {
    const { path, cipherPath, sizeHint } = about;
    const { holes, admit, onHoles } = this.#options;
    const file = { plainPath: path, cipherPath, size: sizeHint };
    return new DecryptingFile(plain, {
      ...about,
      overhead: this.#layout.content.overhead,
      runs: this.#threads.open(plain, { path, size: sizeHint }),
      budget: this.#threads.budget,
      holes,
      ...(admit !== undefined && { admit: (fileID: Uint8Array) => admit(file, fileID) }),
      ...(onHoles !== undefined && { onHoles: (count: number) => onHoles(path, count) }),
    });
  }

  plainTarget(storedTarget: Uint8Array): Uint8Array {
    return this.#layout.content.decryptTarget(storedTarget);
  }

  plainXattr({ name: cipherName, value }: Xattr): Xattr | undefined {
    const { xattrs } = this.#layout;
    const name = xattrs.decryptXattrName(cipherName);
    return name && { name, value: xattrs.decryptXattrValue(cipherName, value) };
  }

  /** Ends the threads that decrypt. */
  close(): Promise<void> {
    return this.#threads.close();
  }

  #identity({ cipherPath, planned }: StoredObject): FileIdentity {
    const { identities } = this.#layout;
    const place = planned.identityPlace ?? { plainPath: planned.plainPath, cipherPath };
    const path = identities.derivedFrom === 'cipher path' ? place.cipherPath : place.plainPath;
    return identities.file({ path: isRootPath(path) ? NOTHING : path, counter: 0 });
  }
}
