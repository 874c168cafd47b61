import { FileError, IntegrityError } from '../errors.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';
import { isAllZero, parseFileHeader } from '../gocryptfs/file-header.ts';
import { FILE_HEADER_LENGTH, FILE_ID_LENGTH, PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';
import { showPath } from '../tree/file-failure.ts';
import type { Attributes, NewFile } from '../tree/store.ts';

const DONE = Promise.resolve();
const NOTHING = Buffer.alloc(0);

/** How the ciphertext of a new file is taken. */
export interface DecryptingFileOptions {
  /** What messages call the file. */
  readonly path: Uint8Array;
  readonly content: ContentEncryption;
  /** What a full block of zeros is; as in `PlainFileOptions`. */
  readonly holes: 'allowed' | 'refused';
  /** Takes the place of `plain.discard` for a file that is broken off, but whole so far. */
  readonly onBrokenOff?: (plain: NewFile, length: number) => Promise<void>;
}

/**
 * A file that is written as ciphertext and arises as plaintext: every block is authenticated before
 * anything of it is written. One that is damaged is read to its end, but never gets its name.
 */
export class DecryptingFile implements NewFile {
  readonly #plain: NewFile;
  readonly #options: DecryptingFileOptions;
  /** Bytes of a whole stored block. */
  readonly #step: number;
  /** The beginning of a header or block whose rest has not come yet. */
  #pending: Buffer = NOTHING;
  #pendingLength = 0;
  #fileID: Uint8Array | undefined;
  #blockNo = 0;
  #damage: IntegrityError | undefined;
  #isOver = false;

  /** @param plain - owned from now on */
  constructor(plain: NewFile, options: DecryptingFileOptions) {
    this.#plain = plain;
    this.#options = options;
    this.#step = PLAIN_BLOCK_SIZE + options.content.overhead;
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#damage !== undefined) return DONE;
    return this.#noting(() => this.#take(bytes));
  }

  /**
   * @throws {FileError} `content-damaged` — not what the key wrote; the IntegrityError is its cause
   * @throws {FileError} `write-failed`
   */
  async commit(attributes: Attributes): Promise<FileError | undefined> {
    if (this.#damage === undefined) await this.#noting(() => this.#takeRest());
    this.#isOver = true;
    if (this.#damage === undefined) return this.#plain.commit(attributes);
    await this.#plain.discard();
    throw new FileError('content-damaged', `${this.#damage.message}; not restored`, {
      hint: 'The copy is damaged or was changed. Restore the file from another copy.',
      facts: { path: showPath(this.#options.path) },
      cause: this.#damage,
    });
  }

  async discard(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    const { onBrokenOff } = this.#options;
    if (this.#damage !== undefined || onBrokenOff === undefined) await this.#plain.discard();
    else await onBrokenOff(this.#plain, this.#blockNo * PLAIN_BLOCK_SIZE);
  }

  async #noting(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#damage = error;
    }
  }

  async #take(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      const wanted = this.#fileID === undefined ? FILE_HEADER_LENGTH : this.#step;
      if (this.#pendingLength === 0 && bytes.length - at >= wanted) {
        await this.#takePart(bytes.subarray(at, at + wanted));
        at += wanted;
        continue;
      }
      const end = Math.min(bytes.length, at + wanted - this.#pendingLength);
      this.#keep(bytes.subarray(at, end));
      at = end;
      if (this.#pendingLength < wanted) return;
      this.#pendingLength = 0;
      await this.#takePart(this.#pending.subarray(0, wanted));
    }
  }

  #keep(bytes: Uint8Array): void {
    if (this.#pending.length === 0) this.#pending = Buffer.allocUnsafe(this.#step);
    this.#pending.set(bytes, this.#pendingLength);
    this.#pendingLength += bytes.length;
  }

  /** What is left at the end is the last block, or too short for anything. */
  async #takeRest(): Promise<void> {
    const rest = this.#pending.subarray(0, this.#pendingLength);
    this.#pendingLength = 0;
    if (this.#fileID !== undefined && this.#blockNo === 0 && rest.length === 0) {
      throw this.#about(new IntegrityError('cipher-size-illegal', 'a header without content'));
    }
    if (rest.length > 0) await this.#takePart(rest);
  }

  #takePart(part: Uint8Array): Promise<void> {
    try {
      if (this.#fileID === undefined) {
        this.#fileID = Buffer.from(parseFileHeader(part));
        return DONE;
      }
      if (this.#options.holes === 'refused' && this.#isHole(part)) {
        throw new IntegrityError('hole', 'a block of zeros');
      }
      const plain = this.#options.content.decryptBlock(this.#blockNo, this.#fileID, part);
      this.#blockNo++;
      return this.#plain.write(plain);
    } catch (error) {
      throw error instanceof IntegrityError ? this.#about(error) : error;
    }
  }

  #isHole(sealed: Uint8Array): boolean {
    // A real nonce nearly always shows in its first bytes that it is not zero.
    return (
      sealed.length === this.#step &&
      isAllZero(sealed.subarray(0, FILE_ID_LENGTH)) &&
      isAllZero(sealed)
    );
  }

  #about(error: IntegrityError): IntegrityError {
    const path = showPath(this.#options.path);
    const where = this.#fileID === undefined ? '' : `block ${this.#blockNo} of `;
    return new IntegrityError(error.code, `${where}${path}: ${error.message}`, {
      facts: { path, ...(where !== '' && { blockNo: this.#blockNo }) },
      cause: error,
    });
  }
}
