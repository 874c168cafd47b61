/** How a plain mirror stores the objects of a restore: unchanged. */
import type { FileError } from '../../errors.ts';
import type { OpenFile } from '../../tree/entry.ts';
import type { Attributes, NewFile } from '../../tree/store.ts';
import type { StoredForm, StoredObject } from '../restoring-store.ts';

/** A plain mirror: what is stored is what is restored. */
export const MIRROR_FORM: StoredForm = {
  storedSize: (plainSize) => plainSize,
  plainSizeHint: (storedSize) => storedSize,
  stored: (_object: StoredObject, plain: OpenFile) => plain,
  plainTarget: (storedTarget) => storedTarget,
  plainXattr: (stored) => stored,
  receive: (plain, { onInterrupted }) =>
    onInterrupted === undefined ? plain : new KeptFile(plain, onInterrupted),
  close: () => Promise.resolve(),
};

/** A file whose beginning is kept when the transfer is interrupted. */
class KeptFile implements NewFile {
  readonly #plain: NewFile;
  readonly #onInterrupted: (file: NewFile, length: number) => Promise<void>;
  #length = 0;
  #isFinished = false;

  constructor(plain: NewFile, onInterrupted: (file: NewFile, length: number) => Promise<void>) {
    this.#plain = plain;
    this.#onInterrupted = onInterrupted;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#plain.write(bytes);
    this.#length += bytes.length;
  }

  commit(attributes: Attributes): Promise<FileError | undefined> {
    this.#isFinished = true;
    return this.#plain.commit(attributes);
  }

  async discard(): Promise<void> {
    if (this.#isFinished) return;
    this.#isFinished = true;
    await this.#onInterrupted(this.#plain, this.#length);
  }
}
