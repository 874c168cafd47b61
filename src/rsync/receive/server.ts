/** A receiving `rsync --server` inside this process. */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { ChunkSink } from '../../bytes/chunk-sink.ts';
import { ChunkSource } from '../../bytes/chunk-source.ts';
import { ConnectionError, EcsyncError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import type { Store } from '../../tree/store.ts';
import { AttributePolicy, type LocalDefaults } from './attribute-policy.ts';
import { createStrongSums } from '../wire/checksums.ts';
import {
  IOERR_DEL_LIMIT,
  IOERR_GENERAL,
  IOERR_VANISHED,
  MSG_DELETED,
  MSG_ERROR_EXIT,
} from '../wire/constants.ts';
import { ExpectedReplies } from './expected-replies.ts';
import { readFilterList, wantsFilterList, type ReceiverRule } from '../flist/filter-list.ts';
import { greetClient, type Session } from '../wire/handshake.ts';
import { CONTENT_GROWTH_MAX } from '../wire/limits.ts';
import { MultiplexReader, MultiplexWriter } from '../wire/multiplex.ts';
import { isDryRun, type TransferOptions } from '../wire/options.ts';
import { PeerMessages } from '../wire/peer-messages.ts';
import type { ReceiveJob } from './receive-job.ts';
import { receiveList } from './receive-list.ts';
import { ReceivedList } from './received-list.ts';
import { ReceivingSide } from './receiving-side.ts';
import { exitStatus, SenderGaveUp, ServerExit } from '../wire/server-status.ts';

/** The options and callbacks of a receiving server in this process. */
export interface ServeOptions {
  readonly transfer: TransferOptions;
  /** Users and groups of this machine. */
  readonly localDefaults: LocalDefaults;
  /** Request whole files instead of deltas. Default: false. */
  readonly wholeFile?: boolean;
  /** The destination was created for this transfer. Default: false. */
  readonly rootIsNew?: boolean;
  /** Bytes by which a file may exceed twice its announced size. Default: 1 GiB. */
  readonly growthMax?: number;
  /** A line that a real server would write to its standard error, without a line end. */
  readonly onStderr: (line: string) => void;
  /** Seed of the checksums, any int32. Default: random. */
  readonly seed?: number;
}

/**
 * Runs the whole conversation of a receiving `rsync --server`, up to the goodbye. The streams are
 * ended, not destroyed.
 *
 * @param peer - the counterparts of standard input and output
 * @returns the exit status; errors of a peer or a disk are never thrown
 */
export async function serve<E extends Entry>(
  peer: { readonly input: Readable; readonly output: Writable },
  store: Store<E>,
  options: ServeOptions,
): Promise<number> {
  const server = new Server(peer, store, options);
  try {
    return await server.run();
  } finally {
    peer.output.end();
    // Drain what the peer still sends, so that back-pressure does not block it.
    peer.input.resume();
  }
}

class Server<E extends Entry> {
  readonly #source: ChunkSource;
  readonly #sink: ChunkSink;
  readonly #reader: MultiplexReader;
  readonly #writer: MultiplexWriter;
  readonly #messages: PeerMessages;
  readonly #expected = new ExpectedReplies<E>();
  readonly #store: Store<E>;
  readonly #options: ServeOptions;
  #keepAlive: NodeJS.Timeout | undefined;
  #protocol = 0;
  #hasProblem = false;
  #stopped: Error | undefined;

  constructor(
    peer: { readonly input: Readable; readonly output: Writable },
    store: Store<E>,
    options: ServeOptions,
  ) {
    this.#store = store;
    const { transfer } = options;
    // Measuring changes nothing, like a dry run.
    this.#options = { ...options, transfer: { ...transfer, dryRun: isDryRun(transfer) } };
    this.#source = new ChunkSource(peer.input);
    this.#sink = new ChunkSink(peer.output);
    this.#messages = new PeerMessages({
      onMessage: () => undefined,
      onDeleted: () => undefined,
      onTimeout: () => undefined,
      onNoSend: (ndx) => void this.#expected.decline(ndx),
      onErrorExit: (exitCode) => new SenderGaveUp(exitCode),
    });
    this.#reader = new MultiplexReader(this.#source, (code, payload) => {
      this.#messages.handle(code, payload);
    });
    this.#writer = new MultiplexWriter(this.#sink);
  }

  async run(): Promise<number> {
    try {
      await this.#converse();
      return this.#status();
    } catch (error) {
      return this.#giveUp(error);
    } finally {
      clearInterval(this.#keepAlive);
      this.#source.release();
    }
  }

  async #converse(): Promise<void> {
    const { transfer, seed = randomBytes(4).readInt32LE(0) } = this.#options;
    const { protocolMax } = transfer;
    const session = await greetClient(this.#reader, this.#writer, { protocolMax, seed });
    this.#protocol = session.protocol;
    this.#startKeepAlive();
    await this.#store.prepare();
    const rules = wantsFilterList(transfer)
      ? await readFilterList(this.#reader, session.protocol)
      : [];
    const job = await this.#receiveList(session);
    await this.#transfer(job, rules);
  }

  async #receiveList(session: Session): Promise<ReceiveJob<E>> {
    const { transfer, localDefaults, wholeFile = false, rootIsNew = false } = this.#options;
    const { growthMax = CONTENT_GROWTH_MAX } = this.#options;
    const list = await receiveList(this.#reader, { session, options: transfer });
    this.#messages.addIoError(list.ioError);
    return {
      session,
      options: transfer,
      store: this.#store,
      list: new ReceivedList(list.entries, session.protocol),
      policy: new AttributePolicy(transfer, list.names, localDefaults),
      sums: await createStrongSums(session),
      reader: this.#reader,
      writer: this.#writer,
      wholeFile,
      growthMax,
      // The sender belongs to our own user, so it may send as much as it likes.
      excessMax: Number.POSITIVE_INFINITY,
      rootIsNew,
      keepsRoot: false,
      wants: () => true,
      report: (error) => this.#report(error),
      onItem: () => undefined,
      onProgress: () => undefined,
      onStored: () => undefined,
      onDeleted: (path, isDirectory) => this.#sendDeleted(path, isDirectory),
      busy: () => undefined,
      assertAlive: () => {
        if (this.#stopped !== undefined) throw this.#stopped;
      },
    };
  }

  async #transfer(job: ReceiveJob<E>, rules: readonly ReceiverRule[]): Promise<void> {
    const side = new ReceivingSide(job, this.#expected, rules, {
      reportsDeletions: true,
      mayDelete: () => {
        const isComplete = (this.#messages.ioError & IOERR_GENERAL) === 0;
        if (!isComplete) {
          this.#options.onStderr('IO error encountered -- skipping file deletion');
        }
        return isComplete;
      },
      stop: (reason) => this.#stop(reason),
    });
    await side.run();
  }

  #stop(reason: Error): void {
    this.#stopped ??= reason;
    this.#sendErrorExit(reason);
    this.#source.fail(reason);
    this.#sink.fail(reason);
  }

  /** The payload is a name; the name of a directory ends in a zero byte. */
  #sendDeleted(path: Uint8Array, isDirectory: boolean): void {
    if (this.#protocol < 29) return;
    const end = Buffer.alloc(isDirectory ? 1 : 0);
    this.#writer.message(MSG_DELETED, Buffer.concat([path, end]));
  }

  #report(error: EcsyncError): void {
    this.#hasProblem = true;
    this.#options.onStderr(`rsync: [receiver] ${error.message}`);
  }

  #status(): number {
    const { ioError } = this.#messages;
    let status: number = ServerExit.ok;
    if (this.#hasProblem || (ioError & IOERR_GENERAL) !== 0) status = ServerExit.partial;
    else if ((ioError & IOERR_VANISHED) !== 0) status = ServerExit.vanished;
    else if ((ioError & IOERR_DEL_LIMIT) !== 0) status = ServerExit.deleteLimit;
    if (status === ServerExit.partial) {
      this.#options.onStderr(
        'rsync error: some files/attrs were not transferred (see previous errors) (code 23)',
      );
    }
    return status;
  }

  #giveUp(error: unknown): number {
    if (!(error instanceof EcsyncError)) throw error;
    this.#sendErrorExit(error);
    const status = exitStatus(error);
    const reason = error.message;
    this.#options.onStderr(`rsync error: ${reason} (code ${status}) [receiver]`);
    return status;
  }

  /** Sends the sender the exit status as the last message. */
  #sendErrorExit(error: Error): void {
    if (this.#protocol < 31 || !(error instanceof EcsyncError)) return;
    if (error instanceof ConnectionError) return;
    const payload = Buffer.alloc(4);
    payload.writeInt32LE(exitStatus(error), 0);
    this.#writer.message(MSG_ERROR_EXIT, payload);
    this.#protocol = 0;
  }

  #startKeepAlive(): void {
    const { timeoutSec } = this.#options.transfer;
    if (timeoutSec === undefined || timeoutSec === 0) return;
    this.#keepAlive = setInterval(() => {
      if (!this.#writer.blocked) this.#writer.keepAlive();
    }, timeoutSec * 500);
    this.#keepAlive.unref();
  }
}
