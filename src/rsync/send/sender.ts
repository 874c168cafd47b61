/** The sending side, which sends a file list and answers the requests of a receiving server. */
import { ConnectionError, type EcsyncError } from '../../errors.ts';
import type { Entry, WholeFile } from '../../tree/entry.ts';
import { createStrongSums, type StrongSums } from '../wire/checksums.ts';
import { ITEM_BASIS_TYPE_FOLLOWS, MSG_IO_ERROR, MSG_NO_SEND, NDX_DONE } from '../wire/constants.ts';
import { Conversation } from '../wire/conversation.ts';
import { compareFlistPre29 } from '../flist/sort.ts';
import { greetServer, type Session } from '../wire/handshake.ts';
import { writeItemAttributes } from '../wire/item-record.ts';
import { NdxWriter } from '../wire/ndx.ts';
import { serverWorkMs } from '../wire/patience.ts';
import type { Peer } from '../wire/peer.ts';
import { asEcsyncError, changedWhileRead, ioErrorBit } from '../wire/problem.ts';
import { ReadAhead, type Opened, type Opening } from './read-ahead.ts';
import { RequestQueue } from './request-queue.ts';
import { RequestReader, type ItemRequest, type Request, type Transfer } from './requests.ts';
import { measureContent, sendTokens, sendWhole, type ContentResult } from './send-file.ts';
import type { Basis, SendJob, SendReport } from './send-job.ts';
import { int32, sendList, type ListContext } from './send-list.ts';
import { basisSize, writeSumHead } from '../wire/sum-head.ts';
import { assertCarriesXattrs, writeXattrAnswer, xattrRequestRule } from '../flist/xattrs.ts';

/**
 * Sends a tree to a receiving `rsync --server` and returns when the server has closed.
 *
 * The server requests the files it lacks. One half reads its requests ahead, files are opened and
 * read ahead, and the other half answers in the order of the requests.
 *
 * @param peer - standard output and input of the server; the caller destroys them
 * @throws {RemoteError} `no-greeting`, `shell-not-clean`, `rsync-too-old`, `no-common-checksum`,
 *   `remote-exit`, `xattrs-unsupported`
 * @throws {ProtocolError} the server sent what it must not; the code says what
 * @throws {ConnectionError} `connection-lost`, `timeout`
 * @throws {InterruptedError} `interrupted`
 * @see rsync sender.c send_files, main.c client_run (3.5.0)
 */
export async function send<E extends Entry>(peer: Peer, job: SendJob<E>): Promise<SendReport> {
  const conversation = new Conversation(
    peer,
    {
      onMessage: (level, text) => job.onMessage?.(level, text),
      onDeleted: (path, isDirectory) => job.onDeleted?.(path, isDirectory),
    },
    { idleTimeoutMs: job.idleTimeoutMs, timeoutSec: job.options.timeoutSec, signal: job.signal },
  );
  try {
    const { reader, writer } = conversation;
    const greeting = greetServer(reader, writer, job.options.protocolMax, peer.greeted);
    const session = await conversation.whileAlive(greeting);
    conversation.protocol = session.protocol;
    if (job.options.xattrs === true) assertCarriesXattrs(session);
    const strong = await createStrongSums(session);
    return await new Sender(conversation, job, { session, strong }).run();
  } finally {
    conversation.end();
    job.onEnd?.(conversation.bytesSent, conversation.bytesReceived);
  }
}

/** What a sending server does in addition to a sending client. */
export interface SendingServer {
  /** Writes the statistics that follow the last content. */
  writeStatistics(): void;
}

/** One run of the sending side, after the handshake. */
export class Sender<E extends Entry> {
  readonly #conversation: Conversation;
  readonly #job: SendJob<E>;
  readonly #session: Session;
  readonly #strong: StrongSums;
  readonly #server: SendingServer | undefined;
  readonly #requests: RequestReader<E>;
  readonly #queue = new RequestQueue<E>();
  readonly #readAhead: ReadAhead<E>;
  readonly #ndx: NdxWriter;
  readonly #closing = new Set<Promise<void>>();
  #ioError = 0;
  #filesSent = 0;
  #literalBytes = 0;
  #matchedBytes = 0;

  constructor(
    conversation: Conversation,
    job: SendJob<E>,
    { session, strong }: ListContext,
    server?: SendingServer,
  ) {
    this.#conversation = conversation;
    this.#job = job;
    this.#session = session;
    this.#strong = strong;
    this.#server = server;
    const { protocol } = session;
    // Entries are sent in the given order at every protocol; indexes refer to the sorted order.
    const entries = protocol >= 29 ? job.entries : [...job.entries].sort(compareFlistPre29);
    const { dryRun } = job.options;
    const requestsXattrs = xattrRequestRule(session, job.options);
    const rules = { protocol, dryRun, entries, requestsXattrs };
    this.#requests = new RequestReader(conversation.reader, rules);
    this.#readAhead = new ReadAhead(
      async (entry, size) => {
        await job.hold?.();
        return job.open(entry, size);
      },
      job.options.measure === true
        ? undefined
        : (entry) => (job.hold?.() === undefined ? job.openWhole?.(entry) : undefined),
    );
    this.#ndx = new NdxWriter(protocol);
    conversation.whenFailed((error) => this.#queue.fail(error));
    conversation.allowSilentWork(() => serverWorkMs(entries, job.options.checksum));
  }

  async run(): Promise<SendReport> {
    const reading = this.#readRequests();
    reading.catch((error: unknown) => this.#conversation.fail(asError(error)));
    try {
      this.#ioError = await sendList(this.#conversation, this.#job, {
        session: this.#session,
        strong: this.#strong,
      });
      const listed = this.#ioError;
      await this.#answerPhases();
      await reading;
      await this.#finish(listed);
    } catch (error) {
      this.#conversation.fail(asError(error));
      await this.#readAhead.abandon();
      const reason = await this.#conversation.farewell(reading);
      await Promise.all(this.#closing);
      // The peer's own reason says more than the loss of the connection.
      throw error instanceof ConnectionError ? (reason ?? error) : error;
    }
    return this.#report();
  }

  /** Number of phases, each of which ends with NDX_DONE; the goodbye has further ones. */
  get #phases(): number {
    return this.#session.protocol >= 29 ? 3 : 2;
  }

  /** The reading half: queues requests up to the end of the last phase. */
  async #readRequests(): Promise<void> {
    for (let done = 0; done < this.#phases;) {
      if (!this.#queue.hasRoom) await this.#queue.room();
      const request = await this.#requests.next();
      if (request.kind === 'done') {
        done++;
        this.#job.onRequest?.(undefined, 0);
      } else this.#job.onRequest?.(request.entry, request.attributes.iflags);
      this.#queue.push(request.kind === 'transfer' ? this.#prepare(request) : request);
    }
  }

  /** Declines a transfer, or starts to open its file. */
  #prepare(transfer: Transfer<E>): Request<E> {
    if (this.#job.options.dryRun) return transfer;
    if (this.#job.decline?.(transfer.entry) === true) return { ...transfer, kind: 'declined' };
    this.#readAhead.add(transfer);
    return transfer;
  }

  /**
   * The answering half: answers everything up to the last phase's NDX_DONE, which {@link #finish}
   * sends.
   */
  async #answerPhases(): Promise<void> {
    const { writer } = this.#conversation;
    for (let done = 0; ;) {
      if (this.#queue.length === 0 && writer.pending) writer.flush();
      // Await only if necessary: with many small files each promise costs noticeable time.
      const request = this.#queue.take() ?? (await this.#queue.next());
      if (request.kind === 'done') {
        if (++done === this.#phases) return;
        this.#ndx.write(writer, NDX_DONE);
        writer.flush();
      } else {
        const answering = this.#answer(request);
        if (answering !== undefined) await answering;
      }
      this.#queue.finished(request);
      const draining = this.#conversation.drained();
      if (draining !== undefined) await draining;
    }
  }

  #answer(request: ItemRequest<E>): Promise<void> | undefined {
    const { entry, attributes } = request;
    this.#job.onItem?.(entry, attributes.iflags, attributes.xname, request.ndx);
    if (request.kind === 'declined') this.#sendNothing(request);
    else if (request.kind !== 'transfer' || this.#job.options.dryRun) this.#echo(request);
    else if (this.#job.withhold?.(entry, basisOf(request)) === true) return this.#withhold(request);
    else return this.#sendFile(request);
    return undefined;
  }

  /** Leaves a file unsent that may have been opened ahead. */
  async #withhold(transfer: Transfer<E>): Promise<void> {
    const opening = await this.#readAhead.take(transfer);
    if ('whole' in opening) opening.whole.release();
    if ('opened' in opening) this.#close(transfer, opening.opened);
    else this.#readAhead.release(transfer);
    this.#sendNothing(transfer);
  }

  #echo({ ndx, entry, attributes, xattrs }: ItemRequest<E>): void {
    const { writer } = this.#conversation;
    this.#ndx.write(writer, ndx);
    writeItemAttributes(writer, attributes, this.#session.protocol);
    if (xattrs !== undefined) writeXattrAnswer(writer, entry.xattrs ?? [], xattrs);
  }

  /** Below protocol 30 there is no message for it: the receiver handles a missing answer. */
  #sendNothing({ ndx }: ItemRequest<E>): void {
    if (this.#session.protocol >= 30) {
      this.#conversation.writer.message(MSG_NO_SEND, int32(ndx));
    }
  }

  #sendFile(transfer: Transfer<E>): Promise<void> | undefined {
    const opening = this.#readAhead.take(transfer);
    if (!('whole' in opening)) return this.#sendWhenOpened(transfer, opening);
    this.#sendWhole(transfer, opening.whole);
    return undefined;
  }

  #sendWhole(transfer: Transfer<E>, whole: WholeFile): void {
    const { entry } = transfer;
    this.#echo(transfer);
    writeSumHead(this.#conversation.writer, transfer.head);
    const context = { conversation: this.#conversation, strong: this.#strong };
    this.#reportSent(entry, sendWhole(whole.bytes, context));
    whole.release();
    this.#readAhead.release(transfer);
  }

  async #sendWhenOpened(
    transfer: Transfer<E>,
    whenOpened: Promise<Opening> | Opening,
  ): Promise<void> {
    const { entry } = transfer;
    const opening = await whenOpened;
    if ('error' in opening) {
      this.#readAhead.release(transfer);
      this.#problem(entry, asEcsyncError(opening.error, entry));
      this.#sendNothing(transfer);
      return;
    }
    if ('whole' in opening) {
      this.#sendWhole(transfer, opening.whole);
      return;
    }
    const isMeasuring = this.#job.options.measure === true;
    this.#echo(transfer);
    if (!isMeasuring) writeSumHead(this.#conversation.writer, transfer.head);
    try {
      const handle = isMeasuring ? measureContent : sendTokens;
      const result = await handle(entry, opening.opened, {
        conversation: this.#conversation,
        strong: this.#strong,
        onProgress: (bytes) => this.#job.onProgress?.(entry, bytes),
      });
      this.#reportSent(entry, result);
    } finally {
      this.#close(transfer, opening.opened);
    }
  }

  #reportSent(entry: E, { literalBytes, matchedBytes, error }: ContentResult): void {
    this.#filesSent++;
    this.#literalBytes += literalBytes;
    this.#matchedBytes += matchedBytes;
    if (error !== undefined) this.#problem(entry, error);
    else this.#job.onSent?.(entry, literalBytes, matchedBytes);
  }

  /** Closes in the background; {@link #finish} waits for the result. */
  #close(transfer: Transfer<E>, { file, chunks }: Opened): void {
    const close = async (): Promise<void> => {
      try {
        await chunks.settled();
        if ((await file.close()) === 'changed') {
          this.#problem(transfer.entry, changedWhileRead(transfer.entry));
        }
      } catch (error) {
        this.#problem(transfer.entry, asEcsyncError(error, transfer.entry));
      }
      this.#readAhead.release(transfer);
    };
    const closing = close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #problem(entry: E, error: EcsyncError): void {
    this.#ioError |= ioErrorBit(error);
    this.#job.onProblem?.(entry, error);
  }

  /**
   * Sends the last NDX_DONE and the goodbye, which takes one more round from protocol 31 on, then
   * reads until the server closes.
   */
  async #finish(listedIoError: number): Promise<void> {
    const { writer, reader } = this.#conversation;
    const { protocol } = this.#session;
    await Promise.all(this.#closing);
    if (this.#ioError !== listedIoError && protocol >= 30) {
      writer.message(MSG_IO_ERROR, int32(this.#ioError));
    }
    this.#ndx.write(writer, NDX_DONE);
    this.#server?.writeStatistics();
    writer.flush();
    await this.#conversation.whileAlive(this.#requests.goodbye());
    if (protocol >= 31) {
      this.#ndx.write(writer, NDX_DONE);
      writer.flush();
      await this.#conversation.whileAlive(this.#requests.goodbye());
    }
    this.#job.onGoodbye?.();
    // If we are the server, we close and do not wait for the client.
    if (this.#server === undefined) await this.#conversation.whileAlive(reader.drain());
  }

  #report(): SendReport {
    const { messages, bytesSent, bytesReceived } = this.#conversation;
    const { deleted } = this.#requests;
    return {
      protocol: this.#session.protocol,
      checksumName: this.#session.checksumName,
      filesSent: this.#filesSent,
      literalBytes: this.#literalBytes,
      matchedBytes: this.#matchedBytes,
      bytesSent,
      bytesReceived,
      ...(deleted && { deleted }),
      remoteErrors: messages.reportedError,
      ioError: this.#ioError | messages.ioError,
    };
  }
}

function basisOf({ head, attributes }: Pick<Transfer<Entry>, 'head' | 'attributes'>): Basis {
  const isElsewhere = (attributes.iflags & ITEM_BASIS_TYPE_FOLLOWS) !== 0;
  return { size: basisSize(head), isElsewhere };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
