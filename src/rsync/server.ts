import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { ChunkSink } from '../bytes/chunk-sink.ts';
import { ChunkSource } from '../bytes/chunk-source.ts';
import { ConnectionError, EcsyncError } from '../errors.ts';
import type { Entry } from '../tree/entry.ts';
import type { Store } from '../tree/store.ts';
import { AttributePolicy, type LocalHabits } from './attribute-policy.ts';
import { createStrongSums } from './checksums.ts';
import { IOERR_DEL_LIMIT, IOERR_GENERAL, IOERR_VANISHED, MSG_ERROR_EXIT } from './constants.ts';
import { Deletion } from './delete.ts';
import { ExpectedReplies } from './expected-replies.ts';
import { readFilterList, wantsFilterList, type ReceiverRule } from './filter-list.ts';
import { readFlist } from './flist-decode.ts';
import { flistFormat } from './flist-format.ts';
import { Generator } from './generator.ts';
import { greetClient, type Session } from './handshake.ts';
import { readIdLists } from './id-list.ts';
import { MultiplexReader, MultiplexWriter } from './multiplex.ts';
import type { TransferOptions } from './options.ts';
import { Receiver } from './receiver.ts';
import type { ReceiveJob } from './receive-job.ts';
import { ReceivedList } from './received-list.ts';
import { RecordWriter } from './record-writer.ts';
import { SenderMessages } from './sender-messages.ts';
import { exitStatus, ServerExit, systemWords } from './server-status.ts';

/** A file may have grown since it was listed, but not without end. */
const GROWTH_MAX = 1024 * 1024 * 1024;

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
  readonly #messages: SenderMessages;
  readonly #expected = new ExpectedReplies<E>();
  readonly #store: Store<E>;
  readonly #options: ServeOptions;
  #keepAlive: NodeJS.Timeout | undefined;
  #protocol = 0;
  #hasProblem = false;

  constructor(
    peer: { readonly input: Readable; readonly output: Writable },
    store: Store<E>,
    options: ServeOptions,
  ) {
    this.#store = store;
    this.#options = options;
    this.#source = new ChunkSource(peer.input);
    this.#sink = new ChunkSink(peer.output);
    this.#messages = new SenderMessages((ndx) => this.#expected.decline(ndx));
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
    const { growthMax = GROWTH_MAX } = this.#options;
    const format = flistFormat(session, transfer);
    const { entries, ioError } = await readFlist(this.#reader, format);
    this.#messages.addIoError(ioError);
    const names = await readIdLists(this.#reader, format);
    if (session.protocol < 30) {
      this.#messages.addIoError(await this.#reader.read((bytes) => bytes.int32()));
    }
    return {
      session,
      options: transfer,
      store: this.#store,
      list: new ReceivedList(entries, session.protocol),
      policy: new AttributePolicy(transfer, names, habits),
      sums: await createStrongSums(session),
      reader: this.#reader,
      writer: this.#writer,
      wholeFile,
      growthMax,
      rootIsNew,
      report: (error) => this.#report(error),
    };
  }

  /**
   * The phases, from the list to the goodbye (numbers count NDX_DONE, here for protocols ≥ 31):
   * requests → 1, everything stored, damaged files once more → 2, links → 3, deletions and folder
   * times → 4, the sender's last → 5.
   */
  async #transfer(job: ReceiveJob<E>, rules: readonly ReceiverRule[]): Promise<void> {
    const { protocol } = job.session;
    const records = new RecordWriter(this.#writer, protocol);
    const deletion = new Deletion(job, rules);
    const generator = new Generator(job, records, this.#expected, deletion);
    const receiver = new Receiver(job, this.#expected);

    const walk = async (): Promise<void> => {
      await generator.walk();
      records.done(); // 1
    };
    const damaged = await this.#together(receiver.receivePhase(), walk());
    const repeat = async (): Promise<void> => {
      await generator.makeLinks();
      await generator.redo(damaged);
      records.done(); // 2
    };
    await this.#together(receiver.receivePhase(), repeat());
    await generator.makeLinks();
    if (protocol >= 29) {
      records.done(); // 3
      await receiver.receivePhase();
    }
    if (job.options.deleteAfter) await this.#delete(deletion, records);
    await generator.finishFolders();
    records.done(); // 4
    if (protocol < 31) return;
    await receiver.readDone();
    records.done(); // 5
  }

  async #delete(deletion: Deletion<E>, records: RecordWriter): Promise<void> {
    if ((this.#messages.ioError & IOERR_GENERAL) !== 0) {
      this.#options.onStderr('IO error encountered -- skipping file deletion');
    } else {
      await deletion.removeExtras();
    }
    records.deletions(deletion.counts);
  }

  /** Both halves at once; when one fails, the other is stopped and waited for. */
  async #together<T>(receiving: Promise<T>, generating: Promise<void>): Promise<T> {
    const stop = (error: unknown): never => {
      const reason = error instanceof Error ? error : new Error(String(error));
      this.#sendErrorExit(reason);
      this.#source.fail(reason);
      this.#sink.fail(reason);
      throw error;
    };
    const halves = [receiving.catch(stop), generating.catch(stop)] as const;
    try {
      const [received] = await Promise.all(halves);
      return received;
    } catch (error) {
      await Promise.allSettled(halves);
      throw error;
    }
  }

  #report(error: EcsyncError): void {
    this.#hasProblem = true;
    this.#options.onStderr(`rsync: [receiver] ${error.message}${systemWords(error)}`);
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
    const said = `${error.message}${systemWords(error)}`;
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
