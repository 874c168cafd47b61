/** A sending `rsync --server --sender` inside this process. */
import { randomBytes } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { EcsyncError } from '../../errors.ts';
import { isRegularFile, type Entry, type Tree } from '../../tree/entry.ts';
import type { Filter } from '../../tree/filter/filter.ts';
import { walk } from '../../tree/walk.ts';
import { createStrongSums } from '../wire/checksums.ts';
import { IOERR_GENERAL, IOERR_VANISHED } from '../wire/constants.ts';
import { Conversation } from '../wire/conversation.ts';
import { readSenderRules, senderFilter, type SenderRule } from '../flist/filter-list.ts';
import { greetClient, type Session } from '../wire/handshake.ts';
import type { IdNames } from '../flist/id-list.ts';
import { writeLongint, writeVarlong } from '../wire/integers.ts';
import type { TransferOptions } from '../wire/options.ts';
import { Sender } from './sender.ts';
import type { SendReport } from './send-job.ts';
import { exitStatus, ServerExit } from '../wire/server-status.ts';

/** How a sending server in this process works. */
export interface ServeSenderOptions<E extends Entry> {
  readonly transfer: TransferOptions;
  /**
   * What is sent.
   *
   * @param filter - what the client wants left out
   * @param onProblem - to be told of everything that cannot be listed
   */
  openTree(
    filter: Pick<Filter, 'verdict'>,
    onProblem: (path: Uint8Array, error: EcsyncError) => void,
  ): Tree<E>;
  /** Gives entries the extended attributes that they have; asked with `-X` only. */
  readonly readXattrs?: (
    entries: readonly E[],
    onProblem: (error: EcsyncError) => void,
  ) => Promise<void>;
  /** Names of users and groups; travel unless ids are numeric. */
  readonly names?: IdNames | undefined;
  /** What a real server would write to its standard error; no line end. */
  readonly onStderr: (line: string) => void;
  /** Told of what ended the conversation, beside the line that says it. */
  readonly onFailure?: (error: EcsyncError) => void;
  /** Seed of the checksums, any int32. Default random. */
  readonly seed?: number;
}

/**
 * The whole conversation of an `rsync --server --sender`, up to the goodbye. The streams are ended,
 * not destroyed.
 *
 * @param peer - standard input and output, so to speak
 * @returns the exit status; never throws for what a peer or a disk may do
 * @see rsync main.c do_server_sender (3.5.0)
 */
export async function serveSender<E extends Entry>(
  peer: { readonly input: Readable; readonly output: Writable },
  options: ServeSenderOptions<E>,
): Promise<number> {
  const { onStderr, transfer } = options;
  const conversation = new Conversation(
    peer,
    { onMessage: () => undefined },
    { timeoutSec: transfer.timeoutSec },
  );
  try {
    const { ioError } = await new SendingSide(conversation, options).run();
    return statusOf(ioError, onStderr);
  } catch (error) {
    if (!(error instanceof EcsyncError)) throw error;
    const status = exitStatus(error);
    options.onFailure?.(error);
    onStderr(`rsync error: ${error.message} (code ${status}) [sender]`);
    return status;
  } finally {
    conversation.end();
    peer.output.end();
    // What the peer still says has no reader; it must not be held up by that.
    peer.input.resume();
  }
}

class SendingSide<E extends Entry> {
  readonly #conversation: Conversation;
  readonly #options: ServeSenderOptions<E>;
  #scanIncomplete = false;

  constructor(conversation: Conversation, options: ServeSenderOptions<E>) {
    this.#conversation = conversation;
    this.#options = options;
  }

  async run(): Promise<SendReport> {
    const { transfer, seed = randomBytes(4).readInt32LE(0) } = this.#options;
    const { reader, writer } = this.#conversation;
    const session = await greetClient(reader, writer, { protocolMax: transfer.protocolMax, seed });
    this.#conversation.protocol = session.protocol;
    const rules = await readSenderRules(reader, session.protocol);
    const { tree, entries } = await this.#list(rules);
    const strong = await createStrongSums(session);
    const job = {
      entries,
      open: (entry: E) => tree.open(entry),
      options: transfer,
      scanIncomplete: this.#scanIncomplete,
      ...(this.#options.names && { names: this.#options.names }),
      onProblem: (_entry: E, error: EcsyncError) => this.#report(error),
    };
    const writeStatistics = (): void => this.#writeStatistics(session, entries);
    return new Sender(this.#conversation, job, { session, strong }, { writeStatistics }).run();
  }

  async #list(rules: readonly SenderRule[]): Promise<{ tree: Tree<E>; entries: E[] }> {
    const onProblem = (error: EcsyncError): void => {
      this.#scanIncomplete = true;
      this.#report(error);
    };
    const tree = this.#options.openTree(senderFilter(rules), (_path, error) => onProblem(error));
    const entries: E[] = [];
    for await (const part of walk(tree)) {
      entries.push(...part);
      this.#conversation.busy();
      this.#conversation.assertAlive();
    }
    const { transfer, readXattrs } = this.#options;
    if (transfer.xattrs === true && readXattrs !== undefined) {
      await this.#conversation.whileBusy(readXattrs(entries, onProblem));
    }
    return { tree, entries };
  }

  /** The account that `pull` reads; drawn there. How long the list took is nobody's business. */
  #writeStatistics({ protocol }: Session, entries: readonly E[]): void {
    const { writer, bytesReceived, bytesSent } = this.#conversation;
    const write = (value: number): void => {
      if (protocol >= 30) writeVarlong(writer, value, 3);
      else writeLongint(writer, value);
    };
    write(bytesReceived);
    write(bytesSent);
    write(entries.reduce((sum, entry) => sum + (isRegularFile(entry) ? entry.size : 0), 0));
    if (protocol < 29) return;
    write(0);
    write(0);
  }

  #report(error: EcsyncError): void {
    this.#options.onStderr(`rsync: [sender] ${error.message}`);
  }
}

function statusOf(ioError: number, onStderr: (line: string) => void): number {
  if ((ioError & IOERR_GENERAL) !== 0) {
    onStderr('rsync error: some files/attrs were not transferred (see previous errors) (code 23)');
    return ServerExit.partial;
  }
  return (ioError & IOERR_VANISHED) === 0 ? ServerExit.ok : ServerExit.vanished;
}
