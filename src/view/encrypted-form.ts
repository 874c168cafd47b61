import type { FileIdentity } from '../gocryptfs/identity.ts';
import type { Layout } from '../gocryptfs/layout.ts';
import { cipherSizeToPlainSize, plainSizeToCipherSize } from '../gocryptfs/sizes.ts';
import type { OpenFile } from '../tree/entry.ts';
import type { NewFile } from '../tree/store.ts';
import { CipherFile } from './cipher-file.ts';
import { DecryptingFile } from './decrypting-store-file.ts';
import { DecryptionThreads, type DecryptionOptions } from './decryption-threads.ts';
import { isRootPath } from './path-bytes.ts';
import type { StoredForm, StoredObject } from './restoring-store.ts';

const NOTHING = new Uint8Array(0);

/** A copy that is encrypted: what comes is ciphertext. Inverse of reading an `EncryptedView`. */
export class EncryptedForm implements StoredForm {
  readonly #layout: Layout;
  readonly #holes: 'allowed' | 'refused';
  readonly #threads: DecryptionThreads;

  /** @param threads - how many decrypt; default by the machine and the files */
  constructor(layout: Layout, holes: 'allowed' | 'refused', threads?: DecryptionOptions) {
    this.#layout = layout;
    this.#holes = holes;
    this.#threads = new DecryptionThreads(layout, threads);
  }

  storedSize(plainSize: number): number {
    return plainSizeToCipherSize(plainSize, this.#layout.content.overhead);
  }

  plainSizeHint(storedSize: number): number {
    try {
      return cipherSizeToPlainSize(storedSize, this.#layout.content.overhead);
    } catch {
      return storedSize; // content of this length will show what is wrong with it
    }
  }

  /** Of no use, but harmless, where the copy's file has another identity than it would get here. */
  stored(object: StoredObject, plain: OpenFile): OpenFile {
    return CipherFile.over(plain, this.#layout.content, this.#identity(object));
  }

  receiving(plain: NewFile, about: Parameters<StoredForm['receiving']>[1]): NewFile {
    const { path, sizeHint } = about;
    return new DecryptingFile(plain, {
      ...about,
      overhead: this.#layout.content.overhead,
      runs: this.#threads.open(plain, { path, size: sizeHint }),
      budget: this.#threads.budget,
      holes: this.#holes,
    });
  }

  plainTarget(storedTarget: Uint8Array): Uint8Array {
    return this.#layout.content.decryptTarget(storedTarget);
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
