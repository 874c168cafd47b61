/** Rebuilds one file from its basis and its tokens. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import { FileError, ProtocolError, VanishedError } from '../../errors.ts';
import type { Entry, OpenFile } from '../../tree/entry.ts';
import type { NewFile } from '../../tree/store.ts';
import type { Expected } from './expected-replies.ts';
import { pathText } from '../wire/problem.ts';
import type { ReceiveJob } from './receive-job.ts';
import { blockLengthAt } from '../wire/sum-head.ts';
import { withHoles } from './sparse-file.ts';
import { readToken, type Token } from '../wire/tokens.ts';

/** Bytes copied from the basis at once, if blocks are consecutive. */
const COPY_LENGTH = 256 * 1024;
/** Progress is reported after this many bytes. */
const PROGRESS_STEP = 256 * 1024;

/** Rebuilds one file: reads its tokens, assembles and writes the content, and sums it. */
export class FileRebuild<E extends Entry> {
  /** Why nothing could be written, if {@link receive} returns undefined. */
  failure: unknown;
  readonly #job: ReceiveJob<E>;
  readonly #expected: Expected<E>;
  #file: NewFile | undefined;
  #basis: OpenFile | undefined;
  #basisFailed = false;
  /** The basis is the file itself. */
  #isInPlace = false;
  #length = 0;
  /** The length last reported to {@link ReceiveJob.onProgress}. */
  #reportedLength = 0;
  #literalBytes = 0;
  /** Consecutive blocks that are still to be copied. */
  #runFirst = 0;
  #runCount = 0;

  /** Bytes that were sent as literal data. */
  get literalBytes(): number {
    return this.#literalBytes;
  }
  /** Bytes that were taken from the basis. */
  get matchedBytes(): number {
    return this.#length - this.#literalBytes;
  }

  constructor(job: ReceiveJob<E>, expected: Expected<E>) {
    this.#job = job;
    this.#expected = expected;
  }

  /**
   * Reads all tokens of the file. Afterwards `sums.file` has digested the whole content.
   *
   * @returns the file, written but not yet renamed into place; undefined if it cannot be written,
   *   in which case all tokens were read nevertheless
   */
  async receive(): Promise<NewFile | undefined> {
    await this.#attempt(async () => {
      this.#file = await this.#create();
    });
    let isComplete = false;
    try {
      await this.#readTokens();
      isComplete = true;
      return this.#file;
    } finally {
      await this.#basis?.close();
      if (!isComplete) await this.#file?.discard();
    }
  }

  /** With `--inplace` the basis is opened first: writing changes the file that was examined. */
  async #create(): Promise<NewFile> {
    const { entry, fromEarlier, basis } = this.#expected;
    const { store, options } = this.#job;
    if (options.inPlace !== true || store.growFile === undefined) {
      return this.#sparse(await store.createFile(entry.path, entry.size));
    }
    if (basis !== undefined) {
      this.#basis = await this.#openBasis().catch(() => undefined);
      this.#isInPlace = !fromEarlier && this.#basis !== undefined;
    }
    return this.#sparse(await store.growFile(entry.path, entry.size));
  }

  #sparse(file: NewFile): NewFile {
    return this.#job.options.sparse === true ? withHoles(file) : file;
  }

  async #readTokens(): Promise<void> {
    const { reader } = this.#job;
    const { head } = this.#expected;
    const decode = (bytes: ByteReader): Token => readToken(bytes, head.count);
    for (;;) {
      const token = reader.readNow(decode) ?? (await reader.read(decode));
      if (token.kind === 'block') {
        await this.#addBlock(token.index);
        continue;
      }
      await this.#copyRun();
      if (token.kind === 'end') return;
      await this.#readLiteral(token.length);
    }
  }

  /**
   * Awaits only if necessary: a large file has so many pieces that each promise costs noticeable
   * time.
   */
  async #readLiteral(length: number): Promise<void> {
    const { reader } = this.#job;
    for (let left = length; left > 0;) {
      const lengthMax = left;
      const decode = (bytes: ByteReader): Buffer => bytes.some(lengthMax);
      const piece = reader.readNow(decode) ?? (await reader.read(decode));
      left -= piece.length;
      this.#literalBytes += piece.length;
      const counting = this.#count(piece.length);
      if (counting !== undefined) await counting;
      const taking = this.#append(piece);
      if (taking !== undefined) await taking;
    }
  }

  /** Collects consecutive blocks, which are copied together. */
  async #addBlock(index: number): Promise<void> {
    const { head } = this.#expected;
    const continues = this.#runCount > 0 && index === this.#runFirst + this.#runCount;
    if (!continues || this.#runCount * head.blockLength >= COPY_LENGTH) {
      await this.#copyRun();
      this.#runFirst = index;
    }
    this.#runCount++;
  }

  async #copyRun(): Promise<void> {
    if (this.#runCount === 0) return;
    const { head } = this.#expected;
    const last = this.#runFirst + this.#runCount - 1;
    const offset = this.#runFirst * head.blockLength;
    const end = last * head.blockLength + blockLengthAt(head, last);
    this.#runCount = 0;
    // Count the announced bytes even if the basis cannot be read: endless blocks cost time.
    await this.#count(end - offset);
    const bytes = await this.#readBasis(offset, end - offset);
    if (this.#isInPlace && this.#length === end) await this.#skip(bytes);
    else await this.#append(bytes);
  }

  /** Skips bytes that are already at their place. */
  async #skip(bytes: Uint8Array): Promise<void> {
    this.#job.sums.file.update(bytes);
    const passing = this.#file?.skipTo?.(this.#length);
    if (passing !== undefined) await this.#attempt(() => passing);
  }

  /** If the basis cannot be read, bytes are missing, and the whole-file sum will not match. */
  async #readBasis(offset: number, length: number): Promise<Uint8Array> {
    if (this.#basisFailed) return new Uint8Array(0);
    try {
      this.#basis ??= await this.#openBasis();
      return (await this.#basis?.read(offset, length)) ?? new Uint8Array(0);
    } catch (error) {
      if (!(error instanceof FileError || error instanceof VanishedError)) throw error;
      this.#basisFailed = true;
      return new Uint8Array(0);
    }
  }

  async #openBasis(): Promise<OpenFile | undefined> {
    const { basis, fromEarlier } = this.#expected;
    const { store } = this.#job;
    if (basis === undefined) return undefined;
    return fromEarlier ? store.openEarlier(basis) : store.open(basis);
  }

  /** Counts received bytes. A file may have grown since it was listed, but only within limits. */
  #count(length: number): Promise<void> | undefined {
    const { entry } = this.#expected;
    const { growthMax, excessMax, onProgress, busy } = this.#job;
    // A few bytes on the wire may stand for much of the basis.
    busy();
    this.#length += length;
    if (this.#length - this.#reportedLength >= PROGRESS_STEP || this.#length === entry.size) {
      this.#reportedLength = this.#length;
      onProgress(entry, this.#length);
    }
    const storedMax = entry.size * 2 + growthMax;
    if (this.#length <= storedMax) return undefined;
    if (this.#length > storedMax + excessMax) {
      throw new ProtocolError(
        'content-endless',
        `${pathText(entry)} was announced with ${entry.size} bytes, but ${this.#length} arrived without an end`,
      );
    }
    return this.#attempt(tooLong(entry));
  }

  #append(bytes: Uint8Array): Promise<void> | undefined {
    this.#job.sums.file.update(bytes);
    const writing = this.#file?.write(bytes);
    return writing === undefined ? undefined : this.#attempt(() => writing);
  }

  /** After the first failure to write, the file is only read, not written. */
  async #attempt(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      this.failure ??= error;
      await this.#file?.discard();
      this.#file = undefined;
    }
  }
}

/** An endless file would fill the disk: it is read on, but not stored. */
function tooLong(entry: Entry): () => Promise<never> {
  const shown = pathText(entry);
  const error = new FileError('content-too-long', `${shown} is far longer than announced`, {
    hint: 'It may be growing while it is sent. Run again later.',
    facts: { path: shown, announced: entry.size },
  });
  return () => Promise.reject(error);
}
