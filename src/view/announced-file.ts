/** A file under construction that must get exactly the length that the copy lists. */
import { FileError } from '../errors.ts';
import { changedMeanwhile, showPath } from '../tree/file-failure.ts';
import type { Attributes, NewFile } from '../tree/store.ts';

/**
 * The length of a file is not authenticated: its blocks verify even when some are missing at its
 * end. A server that lists one length and sends another has replaced the file in between, or lies.
 * Either way the received content is not the listed file, so it does not get the file's name.
 */
export class AnnouncedFile implements NewFile {
  readonly #file: NewFile;
  readonly #announced: { readonly path: Uint8Array; readonly size: number };
  #length = 0;

  /**
   * @param file - owned from now on
   * @param announced.path - the path that messages show
   * @param announced.size - bytes that must be written
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
   * @throws {FileError} `size-differs` — the length differs from the announced one; the cause is a
   *   VanishedError
   * @throws {FileError} whatever committing the file throws
   */
  async commit(attributes: Attributes): Promise<FileError | undefined> {
    if (this.#length === this.#announced.size) return this.#file.commit(attributes);
    await this.#file.discard();
    const { path, size } = this.#announced;
    const shown = showPath(path);
    const message = `${shown}: the copy lists ${size} bytes, but ${this.#length} arrived; not restored`;
    throw new FileError('size-differs', message, {
      hint: 'If a push was running, run the same command again. Otherwise the server reports a false size.',
      facts: { path: shown, listed: size, received: this.#length },
      cause: changedMeanwhile(path),
    });
  }

  discard(): Promise<void> {
    return this.#file.discard();
  }
}
