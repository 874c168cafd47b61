/** Rebuilds one arriving file from its basis and its tokens. */
import type { ByteReader } from '../../bytes/byte-reader.ts';
import { FileError, ProtocolError, VanishedError } from '../../errors.ts';
import type { Entry, OpenFile } from '../../tree/entry.ts';
import type { NewFile } from '../../tree/store.ts';
import type { Expected } from './expected-replies.ts';
import { shownPath } from '../wire/problem.ts';
import type { ReceiveJob } from './receive-job.ts';
import { blockLengthAt } from '../wire/sum-head.ts';
import { withHoles } from './sparse-file.ts';
import { readToken, type Token } from '../wire/tokens.ts';

/** Bytes that are copied from the basis at once, when blocks follow one another. */
const COPY_LENGTH = 256 * 1024;
/** Progress is told after so many bytes. */
const PROGRESS_STEP = 256 * 1024;

/** One file on its way in: tokens are read, the content is put together and summed up. */
export class FileRebuild<E extends Entry> {
  /** Why nothing could be written, when {@link receive} returns nothing. */
  failure: unknown;
  readonly #job: ReceiveJob<E>;
  readonly #expected: Expected<E>;
  #file: NewFile | undefined;
  #basis: OpenFile | undefined;
  #basisFailed = false;
  /** The basis is the file itself. */
  #isInPlace = false;
  #length = 0;
  /** What of it {@link ReceiveJob.onProgress} knows. */
  #toldLength = 0;
  #literalBytes = 0;
  /** Blocks that are to be copied, not yet copied. */
  #runFirst = 0;
  #runCount = 0;

  /** Bytes that were sent, and bytes that were taken from the basis. */
  get literalBytes(): number {
    return this.#literalBytes;
  }
  get matchedBytes(): number {
    return this.#length - this.#literalBytes;
  }

  constructor(job: ReceiveJob<E>, expected: Expected<E>) {
    this.#job = job;
    this.#expected = expected;
  }

  /**
   * Reads all tokens of the file. `sums.file` has seen the whole content afterwards.
   *
   * @returns the file, written but without its name; undefined when it cannot be written, in which
   *   case everything was read all the same
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

  /** In place the basis is opened first: it is not what was examined any more once it is written to. */
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

  /** Waits only for what is not there: a large file comes in so many pieces that each promise is felt. */
  async #readLiteral(length: number): Promise<void> {
    const { reader } = this.#job;
    for (let left = length; left > 0;) {
      const most = left;
      const decode = (bytes: ByteReader): Buffer => bytes.some(most);
      const piece = reader.readNow(decode) ?? (await reader.read(decode));
      left -= piece.length;
      this.#literalBytes += piece.length;
      const counting = this.#count(piece.length);
      if (counting !== undefined) await counting;
      const taking = this.#take(piece);
      if (taking !== undefined) await taking;
    }
  }

  /** Blocks that follow one another are copied together. */
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
    // What is promised counts, also when the basis cannot be read: blocks without end cost time.
    await this.#count(end - offset);
    const bytes = await this.#readBasis(offset, end - offset);
    if (this.#isInPlace && this.#length === end) await this.#passOver(bytes);
    else await this.#take(bytes);
  }

  /** What is at its place already needs no writing. */
  async #passOver(bytes: Uint8Array): Promise<void> {
    this.#job.sums.file.update(bytes);
    const passing = this.#file?.skipTo?.(this.#length);
    if (passing !== undefined) await this.#attempt(() => passing);
  }

  /** A basis that cannot be read leaves a gap, which the checksum of the file brings to light. */
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

  /** A file may have grown since it was listed, but neither our disk nor our time is without end. */
  #count(length: number): Promise<void> | undefined {
    const { entry } = this.#expected;
    const { growthMax, excessMax, onProgress, busy } = this.#job;
    // A few bytes of the wire may stand for much of the basis.
    busy();
    this.#length += length;
    if (this.#length - this.#toldLength >= PROGRESS_STEP || this.#length === entry.size) {
      this.#toldLength = this.#length;
      onProgress(entry, this.#length);
    }
    const storedMax = entry.size * 2 + growthMax;
    if (this.#length <= storedMax) return undefined;
    if (this.#length > storedMax + excessMax) {
      throw new ProtocolError(
        'content-endless',
        `${shownPath(entry)} was announced with ${entry.size} bytes, ${this.#length} came and no end`,
      );
    }
    return this.#attempt(tooLong(entry));
  }

  #take(bytes: Uint8Array): Promise<void> | undefined {
    this.#job.sums.file.update(bytes);
    const writing = this.#file?.write(bytes);
    return writing === undefined ? undefined : this.#attempt(() => writing);
  }

  /** After the first failure of the disk the file is only read, not written. */
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

/** A file without end would fill the disk: it is read on, but not stored. */
function tooLong(entry: Entry): () => Promise<never> {
  const shown = shownPath(entry);
  const error = new FileError('content-too-long', `${shown} is far longer than announced`, {
    hint: 'It may be growing while it is sent. Run again later.',
    facts: { path: shown, announced: entry.size },
  });
  return () => Promise.reject(error);
}
