/** The receiving client, which fetches a tree from an `rsync --server --sender` into a store. */
import { getHeapStatistics } from 'node:v8';
import {
  ConnectionError,
  FileError,
  InterruptedError,
  ProtocolError,
  VanishedError,
} from '../../errors.ts';
import type { ByteReader } from '../../bytes/byte-reader.ts';
import type { EcsyncError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { ArrivingXattrs } from './arriving-xattrs.ts';
import { AttributePolicy } from './attribute-policy.ts';
import { createStrongSums } from '../wire/checksums.ts';
import { IOERR_GENERAL } from '../wire/constants.ts';
import { Conversation } from '../wire/conversation.ts';
import { ExpectedReplies } from './expected-replies.ts';
import { writeFilterList } from '../flist/filter-list.ts';
import type { FlistEntry } from '../flist/decode.ts';
import { greetServer, type Session } from '../wire/handshake.ts';
import { readLongint, readVarlong } from '../wire/integers.ts';
import { CONTENT_GROWTH_MAX, LIST_HEAP_PART } from '../wire/limits.ts';
import type { Peer } from '../wire/peer.ts';
import { pathText } from '../wire/problem.ts';
import type { PullPlan, PullReport, PullStatistics } from './pull-plan.ts';
import type { ReceiveJob } from './receive-job.ts';
import { receiveList, type WireList } from './receive-list.ts';
import { ReceivedList } from './received-list.ts';
import { ReceivingSide } from './receiving-side.ts';
import { RequestedScope } from './requested-scope.ts';
import { assertCarriesXattrs } from '../flist/xattrs.ts';

/**
 * Fetches a tree from a sending `rsync --server --sender` into a store and returns when the server
 * has closed. Existing objects of the store are compared, and only differences are transferred.
 *
 * The server is not trusted: every name is checked before anything is written, every answer must
 * have been requested, and every file is verified as a whole before it is renamed into place.
 *
 * @param peer - standard output and input of the server; the caller destroys them
 * @throws {RemoteError} `no-greeting`, `shell-not-clean`, `rsync-too-old`, `no-common-checksum`,
 *   `remote-exit`
 * @throws {ProtocolError} the server sent what it must not; the code says what
 * @throws {ConnectionError} `connection-lost`, `timeout`
 * @throws {FileError} nothing can be stored any more (`write-failed`: the disk is full)
 * @throws {InterruptedError} `interrupted`
 * @throws whatever `onList` throws
 * @see rsync main.c client_run, do_recv (3.5.0)
 */
export async function pull<E extends Entry>(peer: Peer, plan: PullPlan<E>): Promise<PullReport> {
  return new Pull(peer, plan).run();
}

class Pull<E extends Entry> {
  readonly #plan: PullPlan<E>;
  readonly #greeted: Peer['greeted'];
  /**
   * Approximate bytes of memory for the list, and as much again for values of extended attributes.
   */
  readonly #weightMax: number;
  readonly #conversation: Conversation;
  readonly #expected = new ExpectedReplies<E>();
  /** Files that the server will not send; its io_error gives the reason only at the end. */
  readonly #declined: FlistEntry[] = [];
  #problems = 0;
  #filesReceived = 0;
  #literalBytes = 0;
  #matchedBytes = 0;
  #deletionSkipped = false;
  #statistics: PullStatistics | undefined;

  constructor(peer: Peer, plan: PullPlan<E>) {
    // A pull does not measure: senderArgs has no such option.
    this.#plan = { ...plan, options: { ...plan.options, measure: false } };
    this.#greeted = peer.greeted;
    this.#weightMax = plan.listWeightMax ?? getHeapStatistics().heap_size_limit * LIST_HEAP_PART;
    const { options, idleTimeoutMs, signal } = plan;
    this.#conversation = new Conversation(
      peer,
      {
        onMessage: (level, text) => plan.onMessage?.(level, text),
        onNoSend: (ndx) => {
          const declined = this.#expected.decline(ndx);
          if (declined !== undefined) this.#declined.push(declined.entry);
        },
      },
      { idleTimeoutMs, timeoutSec: options.timeoutSec, signal },
    );
    this.#conversation.whenFailed((error) => this.#conversation.reader.stop(error));
  }

  async run(): Promise<PullReport> {
    const conversation = this.#conversation;
    try {
      return await this.#converse();
    } catch (error) {
      conversation.fail(error instanceof Error ? error : new Error(String(error)));
      // A server that only reads has nothing to clean up, so we do not wait for its last messages.
      if (error instanceof InterruptedError) throw error;
      const reason = await conversation.farewell(Promise.resolve());
      // The peer's own reason says more than the loss of the connection.
      throw error instanceof ConnectionError ? (reason ?? error) : error;
    } finally {
      conversation.end();
      this.#plan.onEnd?.(conversation.bytesSent, conversation.bytesReceived);
    }
  }

  async #converse(): Promise<PullReport> {
    const { reader, writer, messages } = this.#conversation;
    const { options, senderRules = [] } = this.#plan;
    const session = await greetServer(reader, writer, options.protocolMax, this.#greeted);
    this.#conversation.protocol = session.protocol;
    if (options.xattrs === true) assertCarriesXattrs(session);
    writeFilterList(writer, senderRules, session.protocol);
    writer.flush();
    const arrived = await receiveList(reader, { session, options }, this.#weightMax);
    messages.addIoError(arrived.ioError);
    const job = await this.#examine(session, arrived);
    const side = new ReceivingSide(job, this.#expected, this.#plan.receiverRules ?? [], {
      reportsDeletions: false,
      mayDelete: () => this.#mayDelete(),
      readStatistics: async () => {
        this.#statistics = await reader.read((bytes) => readStatistics(bytes, session.protocol));
      },
      stop: (reason) => this.#conversation.fail(reason),
    });
    // A server with nothing to send exits without a goodbye.
    if (job.list.entries.length > 0) await side.run();
    await this.#conversation.whileAlive(reader.drain());
    this.#reportDeclined();
    this.#reportXattrs(job);
    return this.#report(job, side);
  }

  /** Checks the list as a whole and passes it to the caller, before anything is requested. */
  async #examine(session: Session, { entries, names }: WireList): Promise<ReceiveJob<E>> {
    const conversation = this.#conversation;
    const { options, store, paths, senderRules = [], growthMax = CONTENT_GROWTH_MAX } = this.#plan;
    const plan = this.#plan;
    const list = new ReceivedList(entries, session.protocol);
    new RequestedScope(paths, senderRules).assertRequested(list.entries);
    const localDefaults = plan.localDefaults ?? { users: new Map(), groups: new Map() };
    await store.prepare();
    await conversation.whileBusy(Promise.resolve(plan.onList?.(list.distinct)));
    return {
      session,
      options,
      store,
      list,
      ...(options.xattrs === true && {
        xattrs: new ArrivingXattrs(list.entries, { session, options }, this.#weightMax),
      }),
      policy: new AttributePolicy(options, names, localDefaults),
      sums: await createStrongSums(session),
      reader: conversation.reader,
      writer: conversation.writer,
      wholeFile: plan.wholeFile ?? false,
      growthMax,
      excessMax: growthMax,
      rootIsNew: plan.rootIsNew ?? false,
      keepsRoot: plan.keepsRoot ?? false,
      wants: (entry) => plan.wants?.(entry) ?? true,
      report: (error, entry) => this.#problem(error, entry),
      onItem: (entry, iflags, xname) => plan.onItem?.(entry, iflags, xname),
      onProgress: (entry, bytes) => plan.onProgress?.(entry, bytes),
      onStored: (entry, literalBytes, matchedBytes) => {
        this.#stored(entry, literalBytes, matchedBytes);
      },
      onDeleted: (path, isDirectory) => plan.onDeleted?.(path, isDirectory),
      busy: () => conversation.busy(),
      assertAlive: () => conversation.assertAlive(),
    };
  }

  /**
   * Deletion is not allowed if the server could not list everything: the missing may exist there.
   */
  #mayDelete(): boolean {
    this.#deletionSkipped = (this.#conversation.messages.ioError & IOERR_GENERAL) !== 0;
    return !this.#deletionSkipped;
  }

  #stored(entry: FlistEntry, literalBytes: number, matchedBytes: number): void {
    this.#filesReceived++;
    this.#literalBytes += literalBytes;
    this.#matchedBytes += matchedBytes;
    this.#plan.onStored?.(entry, literalBytes, matchedBytes);
  }

  #problem(error: EcsyncError, entry: FlistEntry | undefined): void {
    this.#problems++;
    this.#plan.onProblem?.(error, entry);
  }

  #reportDeclined(): void {
    const isVanished = (this.#conversation.messages.ioError & IOERR_GENERAL) === 0;
    for (const entry of this.#declined) {
      const shown = pathText(entry);
      this.#problem(
        isVanished
          ? new VanishedError('vanished', `${shown} vanished on the server before it was read`)
          : new FileError('not-sent', `the server could not read ${shown}`),
        entry,
      );
    }
  }

  #reportXattrs({ xattrs, list, wants, options }: ReceiveJob<E>): void {
    if (xattrs === undefined || options.dryRun) return;
    for (const [ndx, entry] of list.entries.entries()) {
      if (list.isRepeated(ndx) || !wants(entry)) continue;
      this.#plan.onXattrs?.(entry, xattrs.of(ndx));
    }
  }

  #report(job: ReceiveJob<E>, side: ReceivingSide<E>): PullReport {
    const { messages, bytesSent, bytesReceived } = this.#conversation;
    return {
      protocol: job.session.protocol,
      checksumName: job.session.checksumName,
      listed: job.list.entries.length,
      filesReceived: this.#filesReceived,
      literalBytes: this.#literalBytes,
      matchedBytes: this.#matchedBytes,
      bytesSent,
      bytesReceived,
      ...(this.#statistics && { statistics: this.#statistics }),
      deleted: side.deleted,
      deletionSkipped: this.#deletionSkipped,
      problems: this.#problems,
      remoteErrors: messages.reportedError,
      ioError: messages.ioError,
    };
  }
}

/**
 * Reads the server's statistics, numbers of 64 bits:
 *
 *   1  bytes it read
 *   2  bytes it wrote
 *   3  bytes of all files
 *   4  ms to build the list                     protocol ≥ 29
 *   5  ms to send it                            protocol ≥ 29
 *
 * @throws {ProtocolError} `statistics-invalid`, `varlong-invalid`, `number-too-large`
 * @see rsync main.c handle_stats (3.5.0)
 */
function readStatistics(reader: ByteReader, protocol: number): PullStatistics {
  const next = (): number => {
    const value = protocol >= 30 ? readVarlong(reader, 3) : readLongint(reader);
    if (value >= 0) return value;
    throw new ProtocolError('statistics-invalid', `the server counted ${value} bytes`);
  };
  const bytesRead = next(); // 1
  const bytesWritten = next(); // 2
  const totalSize = next(); // 3
  if (protocol >= 29) {
    next(); // 4
    next(); // 5
  }
  return { bytesRead, bytesWritten, totalSize };
}
