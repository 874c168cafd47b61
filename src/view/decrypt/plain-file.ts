/** The plaintext of one encrypted file, decrypted and authenticated on demand. */
import { fileBuffers } from '../../bytes/buffer-pool.ts';
import { IntegrityError, VanishedError } from '../../errors.ts';
import type { BlockDamage } from '../../gocryptfs/content/block-runs.ts';
import type { ContentEncryption } from '../../gocryptfs/content/content.ts';
import { parseFileHeader } from '../../gocryptfs/format/file-header.ts';
import type { FileIdentity } from '../../gocryptfs/content/identity.ts';
import { FILE_HEADER_LENGTH, PLAIN_BLOCK_SIZE } from '../../gocryptfs/format/limits.ts';
import { blockCountOf, cipherOffsetOfBlock } from '../../gocryptfs/format/sizes.ts';
import type { OpenFile } from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { filledHoleError, holeError } from './decryption-run.ts';
import { checkHoles, contentPieces, type HoleRule, type SealedSpan } from '../hole-rule.ts';
import { HoleWatch, type HoleProblem } from './hole-watch.ts';
import { withFilePath, bareHeaderError, withPlace, plainSizeOf } from './plain-file-errors.ts';

/** Blocks decrypted together when reading sequentially: 256 KiB of plaintext. */
const RUN_BLOCKS = 64;

const NOTHING: Buffer = Buffer.alloc(0);

/** How the ciphertext of a file is decrypted. */
export interface PlainFileOptions {
  /** The path that messages show. */
  readonly path: Uint8Array;
  /** Which holes are damage. `allowed` when absent. */
  readonly holes?: HoleRule;
  /**
   * Judges the file by the ID in its header before any of it is decrypted, and gives the rule for
   * its holes instead of `holes`.
   *
   * @throws {IntegrityError} the file must not be read
   */
  readonly admit?: (fileID: Uint8Array) => HoleRule;
}

/** A piece of a file's content that the key did not write. */
export interface ContentDamage {
  /** The first block. Absent when it is the header: then nothing of the file can be decrypted. */
  readonly blockNo?: number;
  /** How many blocks; 1 when absent. */
  readonly blockCount?: number;
  /**
   * `header-invalid`, `tag-mismatch`, `nonce-zero`; `hole` for full blocks of zeros that no block
   * vouches for; `hole-filled` for a block that vouches for a missing hole; `nonce-foreign` for a
   * block that is authentic, but was not written by ecsync.
   */
  readonly error: IntegrityError;
}

/** How a whole file is inspected. */
export interface InspectionOptions {
  readonly signal?: AbortSignal;
  /** Called with the number of bytes of ciphertext inspected since the last call. */
  readonly onBytes?: (count: number) => void;
  /**
   * Called after the header was read: the identity that gives all nonces; absent: nonces are free.
   */
  readonly identity?: () => FileIdentity | undefined;
}

/**
 * The plaintext of one encrypted file, decrypted on demand. Everything that is returned is
 * authenticated, except holes. Inverse of `CipherFile`.
 */
export class PlainFile implements OpenFile {
  readonly size: number;
  readonly positional = false;
  readonly #cipher: OpenFile;
  readonly #content: ContentEncryption;
  readonly #options: PlainFileOptions;
  readonly #blockCount: number;
  #fileID: Uint8Array | undefined;
  #holes: HoleRule;
  /** For a file whose holes are checked. */
  #watch: HoleWatch | undefined;
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
    this.#holes = options.holes ?? 'allowed';
    this.size = plainSizeOf(cipher.size, content.overhead, options.path);
    this.#blockCount = blockCountOf(this.size);
  }

  /**
   * @throws {IntegrityError} `header-invalid`, `tag-mismatch`, `nonce-zero`; `hole` where holes are
   *   refused: for the first damaged block of the range, which is in `facts.blockNo`
   * @throws {FileError} `read-failed` — reading the ciphertext failed
   * @throws {VanishedError} `changed` — the ciphertext became shorter in the meantime
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.size);
    if (this.#hasUnreadHeader) await this.#readBareHeader();
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
   * Authenticates the whole content without returning it. Continues after damage.
   *
   * @param onDamage - called in order for every damaged block, for every unvouched hole, allowed or
   *   not, and, if the rule is `strict`, for every filled hole
   * @throws {FileError} `read-failed`; {@link VanishedError} `changed`; the signal's reason
   */
  async inspect(
    onDamage: (damage: ContentDamage) => void,
    options: InspectionOptions = {},
  ): Promise<void> {
    try {
      if (this.#hasUnreadHeader) await this.#readBareHeader();
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      onDamage({ error });
    }
    let holesBefore = 0;
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
      const run = { firstBlock: first, fileID: this.#fileID ?? NOTHING, sealed, holesBefore };
      holesBefore = this.#inspectRun(run, onDamage, options.identity?.());
      options.onBytes?.(sealed.length);
    }
    if (holesBefore > 0) {
      const hole = { first: this.#blockCount - holesBefore, count: holesBefore };
      const error = this.#problemError({ ...hole, code: 'hole' });
      onDamage({ blockNo: hole.first, blockCount: hole.count, error });
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

  /** Whether this is an empty file with a header that was not read yet. */
  get #hasUnreadHeader(): boolean {
    return this.size === 0 && this.#cipher.size > 0 && this.#fileID === undefined;
  }

  /**
   * @throws {IntegrityError} as {@link #parseHeader}; `cipher-size-illegal` — ecsync wrote the
   *   file, so it had content
   */
  async #readBareHeader(): Promise<void> {
    const fileID = this.#parseHeader(await this.#readFully(0, FILE_HEADER_LENGTH));
    if (this.#holes !== 'allowed') throw withPlace(bareHeaderError(), this.#options.path);
    this.#fileID = fileID;
  }

  #holds(offset: number): boolean {
    return offset >= this.#runStart && offset < this.#runEnd;
  }

  #slice(from: number, to: number): Uint8Array {
    return this.#run.subarray(from - this.#runStart, to - this.#runStart);
  }

  /**
   * Decrypts from the block that contains `offset`: up to `end`, or a whole run when the read
   * continues the last one. Stops before a damaged block, unless that is the first.
   */
  async #load(offset: number, end: number): Promise<void> {
    const first = Math.floor(offset / PLAIN_BLOCK_SIZE);
    const start = first * PLAIN_BLOCK_SIZE;
    const wanted = start === this.#runEnd ? RUN_BLOCKS : blockCountOf(end - start);
    const count = Math.min(wanted, RUN_BLOCKS, this.#blockCount - first);
    this.#runEnd = this.#runStart;
    const holes = Math.min(RUN_BLOCKS, this.#watch?.knownHoles(first) ?? 0);
    const filled = holes > 0 ? this.#fillZeros(holes) : await this.#fill(first, count);
    this.#runStart = start;
    this.#runEnd = start + filled;
  }

  /** @returns bytes of plaintext in the run's buffer: those before the first problem */
  async #fill(first: number, count: number): Promise<number> {
    const sealed = this.#watch?.cachedAhead(first, count) ?? (await this.#readSealed(first, count));
    const outcome = this.#decrypt(first, sealed);
    const good =
      typeof outcome === 'number' ? outcome : (outcome.blockNo - first) * PLAIN_BLOCK_SIZE;
    const problem = await this.#problemAmong(first, sealed, good);
    if (problem !== undefined) {
      if (problem.first <= first) throw this.#problemError(problem);
      return (problem.first - first) * PLAIN_BLOCK_SIZE;
    }
    if (typeof outcome !== 'number' && good === 0) throw this.#about(outcome);
    return good;
  }

  #fillZeros(blocks: number): number {
    const length = blocks * PLAIN_BLOCK_SIZE;
    this.#reserve(length);
    this.#run.fill(0, 0, length);
    return length;
  }

  /** Checks the holes among decrypted blocks, unless all holes are allowed. */
  async #problemAmong(
    first: number,
    sealed: Uint8Array,
    plainLength: number,
  ): Promise<HoleProblem | undefined> {
    if (this.#holes === 'allowed' || plainLength === 0) return undefined;
    this.#watch ??= this.#watchHoles();
    const blocks = blockCountOf(plainLength);
    const good = sealed.subarray(0, plainLength + blocks * this.#content.overhead);
    const run = { firstBlock: first, fileID: this.#fileID ?? NOTHING, sealed: good };
    return this.#watch.check(run, this.#run.subarray(0, plainLength));
  }

  #watchHoles(): HoleWatch {
    const source = {
      content: this.#content,
      blockCount: this.#blockCount,
      read: (first: number, count: number) => this.#readSealed(first, count),
    };
    return new HoleWatch(source, this.#holes === 'strict');
  }

  /** The stored bytes of consecutive blocks; the first call reads the header too. */
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
      hint: 'Another program is changing the copy. Wait until it is done, then run the command again.',
      facts: { path: shownPath },
    });
  }

  /** @throws {IntegrityError} `header-invalid`, and whatever `admit` throws */
  #parseHeader(bytes: Uint8Array): Uint8Array {
    let fileID: Uint8Array;
    try {
      fileID = parseFileHeader(bytes);
    } catch (error) {
      throw withFilePath(error, this.#options.path);
    }
    this.#holes = this.#options.admit?.(fileID) ?? this.#holes;
    return fileID;
  }

  /** @returns length, in blocks, of the hole that continues after the run */
  #inspectRun(
    run: SealedSpan,
    onDamage: (damage: ContentDamage) => void,
    identity: FileIdentity | undefined,
  ): number {
    this.#runEnd = this.#runStart; // the buffer of decrypted blocks is overwritten
    const { overhead } = this.#content;
    const step = PLAIN_BLOCK_SIZE + overhead;
    let holesBefore = run.holesBefore;
    for (let at = 0; at < run.sealed.length;) {
      const firstBlock = run.firstBlock + at / step;
      const outcome = this.#decrypt(firstBlock, run.sealed.subarray(at));
      const isGood = typeof outcome === 'number';
      const end = isGood ? run.sealed.length : (outcome.blockNo - run.firstBlock) * step;
      const good = { ...run, firstBlock, sealed: run.sealed.subarray(at, end), holesBefore };
      const { unvouched, filled, holesAfter } = checkHoles(this.#content, good, this.#run);
      const report = (problem: HoleProblem): void => {
        const { first: blockNo, count: blockCount } = problem;
        onDamage({ blockNo, blockCount, error: this.#problemError(problem) });
      };
      for (const hole of unvouched) report({ ...hole, code: 'hole' });
      if (this.#holes === 'strict') {
        for (const first of filled) report({ first, count: 1, code: 'hole-filled' });
      }
      if (identity !== undefined) {
        for (const blockNo of this.#foreignBlocks(good, identity)) {
          onDamage({ blockNo, error: this.#foreignNonceError(blockNo) });
        }
      }
      if (isGood) return holesAfter;
      if (holesAfter > 0) {
        report({ first: outcome.blockNo - holesAfter, count: holesAfter, code: 'hole' });
      }
      onDamage({ blockNo: outcome.blockNo, error: this.#about(outcome) });
      holesBefore = 0;
      at = end + step;
    }
    return 0;
  }

  /** Blocks with nonces that ecsync would not use; the blocks after holes are checked elsewhere. */
  #foreignBlocks(
    { firstBlock, sealed, holesBefore }: SealedSpan,
    identity: FileIdentity,
  ): readonly number[] {
    const { overhead } = this.#content;
    const foreign: number[] = [];
    for (const { from, to } of contentPieces(sealed, overhead)) {
      const isAfterHole = from > 0 || holesBefore > 0;
      const skipped = isAfterHole ? 1 : 0;
      const first = from / PLAIN_BLOCK_SIZE + skipped;
      const start = first * (PLAIN_BLOCK_SIZE + overhead);
      const end = to + blockCountOf(to) * overhead;
      if (start >= end) continue;
      const run = { firstBlock: firstBlock + first, identity, sealed: sealed.subarray(start, end) };
      foreign.push(
        ...this.#content.foreignNonces(run, this.#run.subarray(first * PLAIN_BLOCK_SIZE, to)),
      );
    }
    return foreign;
  }

  /** Decrypts into the run's buffer. */
  #decrypt(firstBlock: number, sealed: Uint8Array): number | BlockDamage {
    this.#reserve(sealed.length);
    const fileID = this.#fileID ?? NOTHING;
    return this.#content.decryptBlocks({ firstBlock, fileID, sealed }, this.#run);
  }

  #reserve(length: number): void {
    if (this.#run.length >= length) return;
    fileBuffers.give(this.#run);
    this.#run = fileBuffers.take(length);
  }

  #about({ blockNo, error }: BlockDamage): IntegrityError {
    return withPlace(error, this.#options.path, blockNo);
  }

  #foreignNonceError(blockNo: number): IntegrityError {
    const path = showPath(this.#options.path);
    const message = `block ${blockNo} of ${path} was not written by ecsync`;
    return new IntegrityError('nonce-foreign', message, {
      hint: 'gocryptfs wrote it, or someone who can forge blocks. Push the file again.',
      facts: { path, blockNo },
    });
  }

  #problemError({ code, first, count }: HoleProblem): IntegrityError {
    const error = code === 'hole' ? holeError(count) : filledHoleError();
    return withPlace(error, this.#options.path, first);
  }
}
