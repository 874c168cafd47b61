/** A receiving `rsync --server` inside this process. */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { ChunkSink } from '../../bytes/chunk-sink.ts';
import { ChunkSource } from '../../bytes/chunk-source.ts';
import { ConnectionError, EcsyncError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import type { Store } from '../../tree/store.ts';
import { AttributePolicy, type LocalHabits } from './attribute-policy.ts';
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

/** How a server in this process works. */
export interface ServeOptions {
  readonly transfer: TransferOptions;
  /** Users and groups of this machine. */
  readonly habits: LocalHabits;
  /** Ask for whole files instead of differences. Default false. */
  readonly wholeFile?: boolean;
  /** The destination was made for this transfer. Default false. */
  readonly rootIsNew?: boolean;
  /** Bytes by which a file may exceed twice its announced size. Default 1 GiB. */
  readonly growthMax?: number;
  /** What a real server would write to its standard error; no line end. */
  readonly onStderr: (line: string) => void;
  /** Seed of the checksums, any int32. Default random. */
  readonly seed?: number;
}

/**
 * The whole conversation of an `rsync --server` that receives, up to the goodbye. The streams are
 * ended, not destroyed.
 *
 * @param peer - standard input and output, so to speak
 * @returns the exit status; never throws for what a peer or a disk may do
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
    // What the peer still says has no reader; it must not be held up by that.
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
    // To be measured is to be left as it is.
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
    const { transfer, habits, wholeFile = false, rootIsNew = false } = this.#options;
    const { growthMax = CONTENT_GROWTH_MAX } = this.#options;
    const list = await receiveList(this.#reader, { session, options: transfer });
    this.#messages.addIoError(list.ioError);
    return {
      session,
      options: transfer,
      store: this.#store,
      list: new ReceivedList(list.entries, session.protocol),
      policy: new AttributePolicy(transfer, list.names, habits),
      sums: await createStrongSums(session),
      reader: this.#reader,
      writer: this.#writer,
      wholeFile,
      growthMax,
      // The sender is our own user's: what it goes on sending is its own time.
      excessMax: Number.POSITIVE_INFINITY,
      rootIsNew,
      keepsRoot: false,
      wants: () => true,
      report: (error) => this.#report(error),
      onItem: () => undefined,
      onProgress: () => undefined,
      onStored: () => undefined,
      onDeleted: (path, isDirectory) => this.#tellDeleted(path, isDirectory),
      busy: () => undefined,
      assertAlive: () => {
        if (this.#stopped !== undefined) throw this.#stopped;
      },
    };
  }

  async #transfer(job: ReceiveJob<E>, rules: readonly ReceiverRule[]): Promise<void> {
    const side = new ReceivingSide(job, this.#expected, rules, {
      accountsForDeletions: true,
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

  /** A name; that of a directory ends in a zero byte. */
  #tellDeleted(path: Uint8Array, isDirectory: boolean): void {
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
    const said = error.message;
    this.#options.onStderr(`rsync error: ${said} (code ${status}) [receiver]`);
    return status;
  }

  /** Tells the sender why this is the end; nothing follows it. */
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
