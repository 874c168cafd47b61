import { fileBuffers } from '../bytes/buffer-pool.ts';
import { IntegrityError, VanishedError } from '../errors.ts';
import type { BlockDamage } from '../gocryptfs/block-runs.ts';
import type { ContentEncryption } from '../gocryptfs/content.ts';
import { parseFileHeader } from '../gocryptfs/file-header.ts';
import { FILE_HEADER_LENGTH, PLAIN_BLOCK_SIZE } from '../gocryptfs/limits.ts';
import { blockCountOf, cipherOffsetOfBlock, cipherSizeToPlainSize } from '../gocryptfs/sizes.ts';
import type { OpenFile } from '../tree/entry.ts';
import { showPath } from '../tree/file-failure.ts';

/** Blocks decrypted in one go when reading sequentially: 256 KiB of plaintext. */
const RUN_BLOCKS = 64;

const NOTHING: Buffer = Buffer.alloc(0);

/** How the ciphertext of a file is taken. */
export interface PlainFileOptions {
  /** What messages call the file. */
  readonly path: Uint8Array;
  /**
   * What a full block of zeros is: zeros, as gocryptfs has it, or damage. It is not authenticated,
   * and ecsync writes none. `allowed` when absent.
   */
  readonly holes?: 'allowed' | 'refused';
}

/** Something in the content of a file that is not what the key wrote. */
export interface ContentDamage {
  /** Absent when it is the header: then nothing of the file can be decrypted. */
  readonly blockNo?: number;
  /** `header-invalid`, `tag-mismatch`, `nonce-zero`, or `hole` for a full block of zeros. */
  readonly error: IntegrityError;
}

/**
 * The plaintext of one encrypted file, decrypted where it is read; nothing is given out that was
 * not authenticated, holes apart. Inverse of `CipherFile`.
 */
export class PlainFile implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #cipher: OpenFile;
  readonly #content: ContentEncryption;
  readonly #options: PlainFileOptions;
  readonly #blockCount: number;
  #fileID: Uint8Array | undefined;
  /** Decrypted blocks, and the plaintext offsets of their start and end. */
  #run: Buffer = NOTHING;
  #runStart = 0;
  #runEnd = 0;
  #output: Buffer = NOTHING;

  /**
   * @param cipher - owned from now on: `close` closes it
   * @throws {IntegrityError} `cipher-size-illegal` — no plaintext has a ciphertext of this size
   */
  constructor(cipher: OpenFile, content: ContentEncryption, options: PlainFileOptions) {
    this.#cipher = cipher;
    this.#content = content;
    this.#options = options;
    this.size = plainSizeOf(cipher.size, content.overhead, options.path);
    this.#blockCount = blockCountOf(this.size);
  }

  /**
   * @throws {IntegrityError} `header-invalid`, `tag-mismatch`, `nonce-zero`; `hole` where holes are
   *   refused: the first damaged block among the bytes asked for, in `facts.blockNo`
   * @throws {FileError} `read-failed` — reading the ciphertext failed
   * @throws {VanishedError} `changed` — the ciphertext became shorter meanwhile
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return NOTHING;
    if (!this.#holds(offset)) await this.#load(offset, end);
    if (end <= this.#runEnd) return this.#slice(offset, end);
    if (this.#output.length < end - offset) {
      fileBuffers.give(this.#output);
      this.#output = fileBuffers.take(end - offset);
    }
    for (let at = offset; at < end;) {
      if (!this.#holds(at)) await this.#load(at, end);
      const part = this.#slice(at, Math.min(end, this.#runEnd));
      this.#output.set(part, at - offset);
      at += part.length;
    }
    return this.#output.subarray(0, end - offset);
  }

  /**
   * Authenticates the whole content and gives nothing of it out. Goes on after damage.
   *
   * @param onDamage - told of every damaged block in order, and of every hole, whether or not holes
   *   are allowed
   * @param options.onBytes - told how many more bytes of ciphertext were looked at
   * @throws {FileError} `read-failed`; {@link VanishedError} `changed`; the signal's reason
   */
  async inspect(
    onDamage: (damage: ContentDamage) => void,
    options: { readonly signal?: AbortSignal; readonly onBytes?: (count: number) => void } = {},
  ): Promise<void> {
    for (let first = 0; first < this.#blockCount; first += RUN_BLOCKS) {
      options.signal?.throwIfAborted();
      let sealed: Uint8Array;
      try {
        sealed = await this.#readSealed(first, Math.min(RUN_BLOCKS, this.#blockCount - first));
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        onDamage({ error });
        return;
      }
      this.#inspectRun(first, sealed, onDamage);
      options.onBytes?.(sealed.length);
    }
  }

  close(): Promise<'unchanged' | 'changed'> {
    fileBuffers.give(this.#run);
    fileBuffers.give(this.#output);
    this.#run = NOTHING;
    this.#output = NOTHING;
    this.#runEnd = this.#runStart;
    return this.#cipher.close();
  }

  #holds(offset: number): boolean {
    return offset >= this.#runStart && offset < this.#runEnd;
  }

  #slice(from: number, to: number): Uint8Array {
    return this.#run.subarray(from - this.#runStart, to - this.#runStart);
  }

  /**
   * Decrypts from the block that holds `offset` on: what is needed up to `end`, or a whole run when
   * the read continues the last one. Stops before a damaged block, unless that is the first.
   */
  async #load(offset: number, end: number): Promise<void> {
    const first = Math.floor(offset / PLAIN_BLOCK_SIZE);
    const start = first * PLAIN_BLOCK_SIZE;
    const wanted = start === this.#runEnd ? RUN_BLOCKS : blockCountOf(end - start);
    const count = Math.min(wanted, RUN_BLOCKS, this.#blockCount - first);
    this.#runEnd = this.#runStart;
    const sealed = await this.#readSealed(first, count);
    const { holes = 'allowed' } = this.#options;
    const outcome = this.#decrypt(first, sealed, holes);
    if (typeof outcome !== 'number' && outcome.blockNo === first) throw this.#about(outcome);
    const filled =
      typeof outcome === 'number' ? outcome : (outcome.blockNo - first) * PLAIN_BLOCK_SIZE;
    this.#runStart = start;
    this.#runEnd = start + filled;
  }

  /** The stored bytes of consecutive blocks; the header is read with the first one that is asked for. */
  async #readSealed(first: number, count: number): Promise<Uint8Array> {
    const { overhead } = this.#content;
    if (this.#fileID === undefined && first > 0) {
      this.#fileID = this.#parseHeader(await this.#readFully(0, FILE_HEADER_LENGTH));
    }
    const start = cipherOffsetOfBlock(first, overhead);
    const end = Math.min(cipherOffsetOfBlock(first + count, overhead), this.#cipher.size);
    if (this.#fileID !== undefined) return this.#readFully(start, end);
    const bytes = await this.#readFully(0, end);
    this.#fileID = this.#parseHeader(bytes);
    return bytes.subarray(FILE_HEADER_LENGTH);
  }

  async #readFully(start: number, end: number): Promise<Uint8Array> {
    const bytes = await this.#cipher.read(start, end - start);
    if (bytes.length === end - start) return bytes;
    const shownPath = showPath(this.#options.path);
    throw new VanishedError('changed', `${shownPath} became shorter while it was read`, {
      hint: 'Something else changes the copy. Wait until it is done and run again.',
      facts: { path: shownPath },
    });
  }

  #parseHeader(bytes: Uint8Array): Uint8Array {
    try {
      // A copy: the bytes are only valid until the next read.
      return Buffer.from(parseFileHeader(bytes));
    } catch (error) {
      throw aboutFile(error, this.#options.path);
    }
  }

  #inspectRun(first: number, sealed: Uint8Array, onDamage: (damage: ContentDamage) => void): void {
    const step = PLAIN_BLOCK_SIZE + this.#content.overhead;
    this.#runEnd = this.#runStart; // what was decrypted for reading is overwritten
    for (let at = 0; at < sealed.length;) {
      const outcome = this.#decrypt(first + at / step, sealed.subarray(at), 'refused');
      if (typeof outcome === 'number') return;
      onDamage({ blockNo: outcome.blockNo, error: this.#about(outcome) });
      at = (outcome.blockNo + 1 - first) * step;
    }
  }

  /** Into the buffer of the current run. */
  #decrypt(
    firstBlock: number,
    sealed: Uint8Array,
    holes: 'allowed' | 'refused',
  ): number | BlockDamage {
    if (this.#run.length < sealed.length) {
      fileBuffers.give(this.#run);
      this.#run = fileBuffers.take(sealed.length);
    }
    const fileID = this.#fileID ?? NOTHING;
    return this.#content.decryptBlocks({ firstBlock, fileID, sealed, holes }, this.#run);
  }

  #about({ blockNo, error }: BlockDamage): IntegrityError {
    if (error.code === 'hole') return this.#holeError(blockNo);
    return inFile(error, this.#options.path, blockNo);
  }

  #holeError(blockNo: number): IntegrityError {
    const shownPath = showPath(this.#options.path);
    return new IntegrityError('hole', `block ${blockNo} of ${shownPath} is all zeros`, {
      hint: 'ecsync writes no such blocks: the copy is damaged or was changed. Push the file again.',
      facts: { path: shownPath, blockNo },
    });
  }
}

/**
 * Size of the plaintext in a cipher file.
 *
 * @throws {IntegrityError} `cipher-size-illegal`, naming the file
 */
export function plainSizeOf(cipherSize: number, overhead: number, path: Uint8Array): number {
  try {
    return cipherSizeToPlainSize(cipherSize, overhead);
  } catch (error) {
    throw aboutFile(error, path);
  }
}

/** The same failure, saying which file it is about; anything unforeseen as it is. */
function aboutFile(error: unknown, path: Uint8Array): unknown {
  return error instanceof IntegrityError ? inFile(error, path) : error;
}

function inFile(error: IntegrityError, path: Uint8Array, blockNo?: number): IntegrityError {
  const { hint, code } = error;
  const shownPath = showPath(path);
  const where = blockNo === undefined ? '' : `block ${blockNo} of `;
  return new IntegrityError(code, `${where}${shownPath}: ${error.message}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { ...error.facts, path: shownPath, ...(blockNo === undefined ? {} : { blockNo }) },
    cause: error,
  });
}
