/** How a plain mirror stores what is in the target of a restore: as it is. */
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
  receiving: (plain, { onBrokenOff }) =>
    onBrokenOff === undefined ? plain : new KeptFile(plain, onBrokenOff),
  close: () => Promise.resolve(),
};

/** A file whose beginning is kept when it is broken off. */
class KeptFile implements NewFile {
  readonly #plain: NewFile;
  readonly #onBrokenOff: (file: NewFile, length: number) => Promise<void>;
  #length = 0;
  #isOver = false;

  constructor(plain: NewFile, onBrokenOff: (file: NewFile, length: number) => Promise<void>) {
    this.#plain = plain;
    this.#onBrokenOff = onBrokenOff;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#plain.write(bytes);
    this.#length += bytes.length;
  }

  commit(attributes: Attributes): Promise<FileError | undefined> {
    this.#isOver = true;
    return this.#plain.commit(attributes);
  }

  async discard(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await this.#onBrokenOff(this.#plain, this.#length);
  }
}
