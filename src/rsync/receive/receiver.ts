/** The receiver, which reads the sender's answers and stores the files. */
import { FileError, ProtocolError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import type { NewFile } from '../../tree/store.ts';
import { CHECKSUM_LENGTH } from '../wire/checksums.ts';
import { ITEM_TRANSFER, NDX_DEL_STATS, NDX_DONE } from '../wire/constants.ts';
import type { Expected, ExpectedReplies } from './expected-replies.ts';
import type { FlistEntry } from '../flist/decode.ts';
import { isFatal } from './generator.ts';
import { readVarint } from '../wire/integers.ts';
import { readItemAttributes } from '../wire/item-record.ts';
import { REPORTS_BASE_MAX, REPORTS_PER_ENTRY_MAX } from '../wire/limits.ts';
import { NdxReader } from '../wire/ndx.ts';
import { pathText } from '../wire/problem.ts';
import type { ReceiveJob } from './receive-job.ts';
import { FileRebuild } from './receiver-file.ts';
import { readSumHead, type SumHead } from '../wire/sum-head.ts';

/** Files that may be waiting for the disk while the next one arrives. */
const COMMITS_MAX = 16;
const DEL_STATS_FIELDS = 5;

/**
 * The half of the receiving side that reads the sender's answers. It rebuilds each file from its
 * basis and the literal data, verifies it as a whole, and stores it.
 *
 * @see rsync receiver.c recv_files (3.5.0)
 */
export class Receiver<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #expected: ExpectedReplies<E>;
  readonly #ndx: NdxReader;
  readonly #commits = new Set<Promise<void>>();
  #damaged = new Map<number, Expected<E>>();
  #isRedo = false;
  #fatal: Error | undefined;
  #reportsLeft: number;

  constructor(job: ReceiveJob<E>, expected: ExpectedReplies<E>) {
    this.#job = job;
    this.#expected = expected;
    this.#ndx = new NdxReader(job.session.protocol);
    this.#reportsLeft = REPORTS_BASE_MAX + REPORTS_PER_ENTRY_MAX * job.list.entries.length;
  }

  /**
   * Reads one phase up to the sender's NDX_DONE, and stores all files that arrive.
   *
   * @returns files that arrived damaged and are to be requested again, by position
   * @throws {ProtocolError} `ndx-out-of-range`, `reply-unrequested`, `reply-without-content`,
   *   `too-many-reports`, `sum-head-mismatch`, `block-out-of-range`, `content-endless`, …
   * @throws {ConnectionError} `connection-lost`
   * @throws {FileError} no file can be stored any more (the disk is full)
   */
  async receivePhase(): Promise<ReadonlyMap<number, Expected<E>>> {
    this.#damaged = new Map();
    try {
      for (;;) {
        const ndx = await this.#readNdx();
        if (ndx === NDX_DONE) break;
        await this.#readRecord(ndx);
        if (this.#fatal !== undefined) throw this.#fatal;
      }
    } finally {
      await Promise.all(this.#commits);
    }
    if (this.#fatal !== undefined) throw this.#fatal;
    this.#reportUnanswered();
    this.#isRedo = true;
    return this.#damaged;
  }

  /** Below protocol 30 a sender silently leaves out files that it cannot read; we report them. */
  #reportUnanswered(): void {
    for (const { entry } of this.#expected.takeUnanswered()) {
      if (this.#job.options.dryRun) continue;
      const message = `${pathText(entry)} was requested, but not sent`;
      this.#job.report(new FileError('not-sent', message), entry);
    }
  }

  /** Reads one NDX_DONE of the goodbye. */
  async readDone(): Promise<void> {
    const ndx = await this.#readNdx();
    if (ndx !== NDX_DONE) throw outOfRange(ndx, this.#job.list.entries.length);
  }

  /** An index of the list, or NDX_DONE; deletion reports and keep-alives are skipped. */
  async #readNdx(): Promise<number> {
    const { reader, session, list } = this.#job;
    const count = list.entries.length;
    for (;;) {
      const ndx = await reader.read((bytes) => this.#ndx.read(bytes));
      if (ndx === NDX_DONE) return ndx;
      if (ndx === NDX_DEL_STATS && session.protocol >= 31) {
        this.#countReport();
        for (let i = 0; i < DEL_STATS_FIELDS; i++) await reader.read(readVarint);
      } else if (ndx === count && (session.protocol === 29 || session.protocol === 30)) {
        this.#countReport();
        await reader.read((bytes) => bytes.uint16());
      } else if (ndx < 0 || ndx >= count) {
        throw outOfRange(ndx, count);
      } else {
        return ndx;
      }
    }
  }

  async #readRecord(ndx: number): Promise<void> {
    const { reader, session, options } = this.#job;
    const { protocol } = session;
    // Basis type and xname are read and ignored: the basis is the one we chose (CVE-2024-12086).
    const { iflags } = await reader.read((bytes) => readItemAttributes(bytes, protocol));
    await this.#job.xattrs?.readAnswer(reader, ndx, iflags);
    const isExpected = this.#expected.isExpected(ndx);
    if ((iflags & ITEM_TRANSFER) === 0) {
      this.#countReport();
      if (!isExpected) return;
      throw new ProtocolError('reply-without-content', `file ${ndx} was requested, but not sent`);
    }
    const expected = this.#expected.take(ndx);
    if (expected === undefined) {
      throw new ProtocolError('reply-unrequested', `file ${ndx} arrived, but was not requested`);
    }
    if (options.dryRun) return;
    const head = await reader.read((bytes) => readSumHead(bytes, protocol));
    assertSameHead(head, expected.head, ndx);
    await this.#rebuild(ndx, expected);
  }

  /** Bounds records without content: each should echo one of ours, or be the deletion report. */
  #countReport(): void {
    if (--this.#reportsLeft >= 0) return;
    throw new ProtocolError(
      'too-many-reports',
      `the peer answered more than ${REPORTS_PER_ENTRY_MAX} times per file`,
    );
  }

  async #rebuild(ndx: number, expected: Expected<E>): Promise<void> {
    const { reader, sums } = this.#job;
    const rebuild = new FileRebuild(this.#job, expected);
    let file: NewFile | undefined;
    try {
      file = await rebuild.receive();
      const sent = await reader.read((bytes) => bytes.copy(CHECKSUM_LENGTH));
      const isIntact = Buffer.compare(sums.file.digest(), sent) === 0;
      if (file === undefined) {
        this.#failed(rebuild.failure, expected.entry);
      } else if (isIntact) {
        await this.#commit(ndx, expected, { file, rebuild });
        file = undefined;
      } else {
        this.#handleDamaged(ndx, expected);
      }
    } finally {
      await file?.discard();
    }
  }

  /** Stores a file while the next one arrives; at most COMMITS_MAX at a time. */
  async #commit(
    ndx: number,
    expected: Expected<E>,
    { file, rebuild }: { readonly file: NewFile; readonly rebuild: FileRebuild<E> },
  ): Promise<void> {
    const { policy, report, onStored } = this.#job;
    const { entry } = expected;
    const attributes = policy.forNew(entry, expected.replaced);
    const commit = file.commit(attributes).then(
      (failure) => {
        this.#expected.stored(ndx);
        if (failure !== undefined) report(failure, entry);
        onStored(entry, rebuild.literalBytes, rebuild.matchedBytes);
      },
      (error: unknown) => this.#failed(error, entry),
    );
    this.#commits.add(commit);
    void commit.then(() => this.#commits.delete(commit));
    if (this.#commits.size >= COMMITS_MAX) await Promise.race(this.#commits);
  }

  #handleDamaged(ndx: number, expected: Expected<E>): void {
    if (!this.#isRedo) {
      this.#damaged.set(ndx, expected);
      return;
    }
    const shown = pathText(expected.entry);
    this.#job.report(
      new FileError('verification-failed', `${shown} arrived damaged twice and was not stored`, {
        hint: 'It may be changing while it is read. Run again later.',
        facts: { path: shown },
      }),
      expected.entry,
    );
  }

  #failed(error: unknown, entry: FlistEntry): void {
    if (error instanceof FileError && !isFatal(error)) this.#job.report(error, entry);
    else this.#fatal ??= error instanceof Error ? error : new Error(String(error));
  }
}

/** The sender must repeat our sum head; otherwise its tokens refer to another basis. */
function assertSameHead(head: SumHead, expected: SumHead, ndx: number): void {
  if (
    head.count === expected.count &&
    head.blockLength === expected.blockLength &&
    head.s2length === expected.s2length &&
    head.remainder === expected.remainder
  ) {
    return;
  }
  throw new ProtocolError(
    'sum-head-mismatch',
    `file ${ndx} arrived for ${head.count} blocks of ${head.blockLength} bytes; it was requested for ${expected.count} of ${expected.blockLength}`,
  );
}

function outOfRange(ndx: number, count: number): ProtocolError {
  return new ProtocolError(
    'ndx-out-of-range',
    `file ${ndx} arrived; indexes are 0 to ${count - 1}`,
  );
}
