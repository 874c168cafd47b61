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

/** The options and callbacks of a sending server in this process. */
export interface ServeSenderOptions<E extends Entry> {
  readonly transfer: TransferOptions;
  /**
   * Opens the tree to send.
   *
   * @param filter - decides what the client wants to be left out
   * @param onProblem - called for everything that cannot be listed
   */
  openTree(
    filter: Pick<Filter, 'verdict'>,
    onProblem: (path: Uint8Array, error: EcsyncError) => void,
  ): Tree<E>;
  /** Reads the extended attributes into the entries; called only with `-X`. */
  readonly readXattrs?: (
    entries: readonly E[],
    onProblem: (error: EcsyncError) => void,
  ) => Promise<void>;
  /** Names of users and groups; sent unless ids are numeric. */
  readonly names?: IdNames | undefined;
  /** A line that a real server would write to its standard error, without a line end. */
  readonly onStderr: (line: string) => void;
  /** Called with the error that ended the conversation, in addition to its line. */
  readonly onFailure?: (error: EcsyncError) => void;
  /** Seed of the checksums, any int32. Default: random. */
  readonly seed?: number;
}

/**
 * Runs the whole conversation of an `rsync --server --sender`, up to the goodbye. The streams are
 * ended, not destroyed.
 *
 * @param peer - the counterparts of standard input and output
 * @returns the exit status; errors of a peer or a disk are never thrown
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
    // Drain what the peer still sends, so that back-pressure does not block it.
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

  /**
   * Writes the statistics that `pull` reads (see there). The times for the file list are sent as 0.
   */
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
