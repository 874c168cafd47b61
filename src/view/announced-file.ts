/** A file that arrives, and is to be as long as the list of the copy says. */
import { FileError } from '../errors.ts';
import { changedMeanwhile, showPath } from '../tree/file-failure.ts';
import type { Attributes, NewFile } from '../tree/store.ts';

/**
 * Nobody vouches for the length of a file: its blocks are authentic also when some are missing at its end. A server
 * that lists one length and sends another has replaced the file meanwhile, or lies; either way what came is not what
 * was listed, and does not get its name.
 */
export class AnnouncedFile implements NewFile {
  readonly #file: NewFile;
  readonly #announced: { readonly path: Uint8Array; readonly size: number };
  #length = 0;

  /**
   * @param file - owned from now on
   * @param announced.path - what messages call the file
   * @param announced.size - bytes that are to be written
   */
  constructor(file: NewFile, announced: { readonly path: Uint8Array; readonly size: number }) {
    this.#file = file;
    this.#announced = announced;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    this.#length += bytes.length;
    return this.#file.write(bytes);
  }

  /**
   * @throws {FileError} `size-differs` — another length than announced; a VanishedError is its cause
   * @throws {FileError} as the file itself
   */
  async commit(attributes: Attributes): Promise<FileError | undefined> {
    if (this.#length === this.#announced.size) return this.#file.commit(attributes);
    await this.#file.discard();
    const { path, size } = this.#announced;
    const shown = showPath(path);
    const message = `${shown}: the copy lists ${size} bytes, and ${this.#length} came; not restored`;
    throw new FileError('size-differs', message, {
      hint: 'If a push was going on, run the same command again. Otherwise the server does not tell the truth.',
      facts: { path: shown, listed: size, received: this.#length },
      cause: changedMeanwhile(path),
    });
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}
