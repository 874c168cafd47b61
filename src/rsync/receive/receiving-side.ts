/** The receiving side of a transfer, from the list to the goodbye. */
import { FileError } from '../../errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { Deletion } from './delete.ts';
import type { ExpectedReplies } from './expected-replies.ts';
import type { ReceiverRule } from '../flist/filter-list.ts';
import { Generator } from './generator.ts';
import type { ItemAttributes } from '../wire/item-record.ts';
import type { ReceiveJob } from './receive-job.ts';
import { Receiver } from './receiver.ts';
import { GeneratorWriter, type DeletionCounts } from './record-writer.ts';

/** The differences between a receiving server and a receiving client. */
export interface ReceivingRole {
  /** Whether objects not in the list may be deleted; false if the list is incomplete. */
  mayDelete(): boolean;
  /** Whether the sender is sent the number of deletions. */
  readonly reportsDeletions: boolean;
  /** Reads what the sender sends between the last content and the goodbye. */
  readStatistics?(): Promise<void>;
  /** One half has failed: makes the other one fail too. */
  stop(reason: Error): void;
}

/** The receiving side of a transfer, from the list to the goodbye. */
export class ReceivingSide<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #role: ReceivingRole;
  readonly #records: GeneratorWriter;
  readonly #deletion: Deletion<E>;
  readonly #generator: Generator<E>;
  readonly #receiver: Receiver<E>;

  /** @param rules - protect objects from deletion */
  constructor(
    job: ReceiveJob<E>,
    expected: ExpectedReplies<E>,
    rules: readonly ReceiverRule[],
    role: ReceivingRole,
  ) {
    this.#job = job;
    this.#role = role;
    const onItem = (ndx: number, { iflags, xname }: ItemAttributes): void => {
      const entry = job.list.entries[ndx];
      if (entry !== undefined) job.onItem(entry, iflags, xname);
    };
    this.#records = new GeneratorWriter(job.writer, job.session.protocol, onItem, job.xattrs);
    this.#deletion = new Deletion(job, rules);
    this.#generator = new Generator(job, this.#records, expected, this.#deletion);
    this.#receiver = new Receiver(job, expected);
  }

  /** What was deleted so far. */
  get deleted(): Readonly<DeletionCounts> {
    return this.#deletion.counts;
  }

  /**
   * Runs all phases. The numbers count our NDX_DONE, here for protocols ≥ 31: requests → 1;
   * everything is stored, damaged files again → 2; links → 3; deletions and folder times → 4; the
   * sender's last NDX_DONE → 5.
   *
   * @throws as {@link Receiver.receivePhase}, or whatever ended the conversation; nothing is
   *   written afterwards
   */
  async run(): Promise<void> {
    const { session, options } = this.#job;
    const { protocol } = session;
    const damaged = await this.#runBoth(this.#receiver.receivePhase(), this.#walk()); // 1
    await this.#runBoth(this.#receiver.receivePhase(), this.#redo(damaged)); // 2
    await this.#generator.makeLinks();
    if (protocol >= 29) {
      this.#records.done(); // 3
      await this.#receiver.receivePhase();
    }
    await this.#role.readStatistics?.();
    if (options.deleteAfter) await this.#delete();
    await this.#generator.finishFolders();
    await this.#settle();
    this.#records.done(); // 4
    if (protocol < 31) return;
    await this.#receiver.readDone();
    this.#records.done(); // 5
  }

  async #walk(): Promise<void> {
    await this.#generator.walk();
    this.#records.done();
  }

  async #redo(damaged: Parameters<Generator<E>['redo']>[0]): Promise<void> {
    await this.#generator.makeLinks();
    await this.#generator.redo(damaged);
    this.#records.done();
  }

  async #delete(): Promise<void> {
    if (this.#role.mayDelete()) await this.#deletion.removeExtras();
    if (this.#role.reportsDeletions) this.#records.deletions(this.#deletion.counts);
  }

  /** Makes sure that everything received is stored before the run ends. */
  async #settle(): Promise<void> {
    const { options, store, report } = this.#job;
    if (options.dryRun) return;
    try {
      await store.settle();
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      report(error);
    }
  }

  /** Runs both halves concurrently; if one fails, the other is stopped and awaited. */
  async #runBoth<T>(receiving: Promise<T>, generating: Promise<void>): Promise<T> {
    const stop = (error: unknown): never => {
      this.#role.stop(error instanceof Error ? error : new Error(String(error)));
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
}
