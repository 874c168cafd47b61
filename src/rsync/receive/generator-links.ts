/** Decides which name of a hard-linked object gets the content, and links the others to it. */
import { isRegularFile, type Entry } from '../../tree/entry.ts';
import { ITEM_IS_NEW, ITEM_LOCAL_CHANGE, ITEM_XNAME_FOLLOWS } from '../wire/constants.ts';
import type { ExpectedReplies } from './expected-replies.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { FileGenerator } from './generator-file.ts';
import type { ReceiveJob } from './receive-job.ts';
import type { RecordWriter } from './record-writer.ts';

/** A further name of an object, which is made when the object is complete. */
export interface DeferredLink {
  readonly ndx: number;
  readonly entry: FlistEntry;
  /** Position of the name that the content was, or is being, stored under. */
  readonly leaderNdx: number;
}

/** Decides which of an object's names gets the content, and links the others to it. */
export class LinkGenerator<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #records: RecordWriter;
  readonly #expected: ExpectedReplies<E>;
  readonly #files: FileGenerator<E>;
  /** Number of an object → position of its leading name. */
  readonly #leaders = new Map<number, number>();
  #deferred: DeferredLink[] = [];

  constructor(
    job: ReceiveJob<E>,
    records: RecordWriter,
    expected: ExpectedReplies<E>,
    files: FileGenerator<E>,
  ) {
    this.#job = job;
    this.#records = records;
    this.#expected = expected;
    this.#files = files;
  }

  /** True for every name of an object but the one that leads; it is remembered for later. */
  async isDeferred(ndx: number, entry: FlistEntry): Promise<boolean> {
    const { list, options } = this.#job;
    const all = options.hardLinks ? list.namesOf(entry) : undefined;
    if (all === undefined || entry.linkGroup === undefined) return false;
    const names = all.filter((name) => this.#isWanted(name));
    let leaderNdx = this.#leaders.get(entry.linkGroup);
    if (leaderNdx === undefined) {
      leaderNdx = await this.#chooseLeader(names);
      this.#leaders.set(entry.linkGroup, leaderNdx);
    }
    if (leaderNdx === ndx) return false;
    this.#deferred.push({ ndx, entry, leaderNdx });
    return true;
  }

  #isWanted(ndx: number): boolean {
    const entry = this.#job.list.entries[ndx];
    return entry !== undefined && this.#job.wants(entry);
  }

  /** The links that can be made now; those whose leader is still missing stay for the next time. */
  takeDeferred(): readonly DeferredLink[] {
    const isMissing = (link: DeferredLink): boolean =>
      !this.#job.options.dryRun && this.#expected.isMissing(link.leaderNdx);
    const ready = this.#deferred.filter((link) => !isMissing(link));
    this.#deferred = this.#deferred.filter(isMissing);
    return ready;
  }

  /** Makes one name, unless it already leads to the same object. */
  async link(
    ndx: number,
    entry: FlistEntry,
    { leaderNdx, existing }: { readonly leaderNdx: number; readonly existing: E | undefined },
  ): Promise<void> {
    const { list, store, policy, options } = this.#job;
    const leader = list.entries[leaderNdx];
    if (leader === undefined) return;
    const target = await store.lookup(leader.path);
    if (target !== undefined && existing !== undefined && store.isSameObject(target, existing)) {
      this.#records.inform(ndx, { iflags: policy.compare(entry, existing).iflags });
      return;
    }
    // Without the leader its own failure was reported, and a name for nothing cannot be made.
    if (target === undefined && !options.dryRun) return;
    const isNew = existing === undefined ? ITEM_IS_NEW : 0;
    this.#records.inform(ndx, {
      iflags: ITEM_LOCAL_CHANGE | ITEM_XNAME_FOLLOWS | isNew,
      xname: leader.path,
    });
    if (!options.dryRun) await store.createLink(entry.path, leader.path);
  }

  /**
   * The first name whose file is already right, else the first that has a file, else the last. Where
   * files that are there stay as they are, one of another content is no name of this object.
   */
  async #chooseLeader(names: readonly number[]): Promise<number> {
    const { list, store, options } = this.#job;
    let withFile: number | undefined;
    let absent: number | undefined;
    for (const ndx of names) {
      const entry = list.entries[ndx];
      if (entry === undefined) continue;
      const existing = await store.lookup(entry.path);
      if (existing === undefined) absent = ndx;
      if (existing === undefined || !isRegularFile(existing) || !isRegularFile(entry)) continue;
      if (await this.#files.isUnchanged(entry, existing)) return ndx;
      withFile ??= ndx;
    }
    if (options.ignoreExisting === true && absent !== undefined) return absent;
    return withFile ?? names.at(-1) ?? 0;
  }
}
