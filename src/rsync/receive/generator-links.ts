/** Chooses the name of a hard-linked object that gets the content, and links the others to it. */
import { isRegularFile, type Entry } from '../../tree/entry.ts';
import { ITEM_IS_NEW, ITEM_LOCAL_CHANGE, ITEM_XNAME_FOLLOWS } from '../wire/constants.ts';
import type { ExpectedReplies } from './expected-replies.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { FileGenerator } from './generator-file.ts';
import type { ReceiveJob } from './receive-job.ts';
import type { GeneratorWriter } from './record-writer.ts';

/** A further name of an object, to be created when the object is complete. */
export interface DeferredLink {
  readonly ndx: number;
  readonly entry: FlistEntry;
  /** Position of the leader: the name under which the content is stored. */
  readonly leaderNdx: number;
}

/** Chooses the leader among an object's names, and links the others to it. */
export class LinkGenerator<E extends Entry> {
  readonly #job: ReceiveJob<E>;
  readonly #records: GeneratorWriter;
  readonly #expected: ExpectedReplies<E>;
  readonly #files: FileGenerator<E>;
  /** Link group → position of its leader. */
  readonly #leaders = new Map<number, number>();
  #deferred: DeferredLink[] = [];

  constructor(
    job: ReceiveJob<E>,
    records: GeneratorWriter,
    expected: ExpectedReplies<E>,
    files: FileGenerator<E>,
  ) {
    this.#job = job;
    this.#records = records;
    this.#expected = expected;
    this.#files = files;
  }

  /** True for every name of an object but its leader; such a name is stored for later. */
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

  /** Removes and returns the links that can be made now, those whose leader is not missing. */
  takeDeferred(): readonly DeferredLink[] {
    const isMissing = (link: DeferredLink): boolean =>
      !this.#job.options.dryRun && this.#expected.isMissing(link.leaderNdx);
    const ready = this.#deferred.filter((link) => !isMissing(link));
    this.#deferred = this.#deferred.filter(isMissing);
    return ready;
  }

  /** Creates one name, unless it is already a link to the same object. */
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
      this.#records.report(ndx, { iflags: policy.compare(entry, existing).iflags });
      return;
    }
    // The leader is missing: its failure was reported, and there is nothing to link to.
    if (target === undefined && !options.dryRun) return;
    const isNew = existing === undefined ? ITEM_IS_NEW : 0;
    this.#records.report(ndx, {
      iflags: ITEM_LOCAL_CHANGE | ITEM_XNAME_FOLLOWS | isNew,
      xname: leader.path,
    });
    if (!options.dryRun) await store.createLink(entry.path, leader.path);
  }

  /**
   * The first name whose file is unchanged, else the first that has a file, else the last. With
   * `--ignore-existing` a file with other content stays as it is, so an absent name comes first
   * then.
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
