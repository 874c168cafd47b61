/** A peer's file list in index order, checked as a whole. */
import { pathKey } from '../../bytes/paths.ts';
import { ProtocolError } from '../../errors.ts';
import { isDirectory } from '../../tree/entry.ts';
import type { FlistEntry } from '../flist/decode.ts';
import { compareFlist, compareFlistPre29, sortFlist } from '../flist/sort.ts';

const SLASH = 0x2f;

/** The peer's file list in index order, checked as a whole. */
export class ReceivedList {
  /** Sorted; positions are the indexes used in the rest of the conversation. */
  readonly entries: readonly FlistEntry[];
  readonly #compare: typeof compareFlist;
  /** Link group → positions of all its names. */
  readonly #groups = new Map<number, number[]>();
  /** Positions that repeat a name; they are ignored. */
  readonly #repeated = new Set<number>();

  /**
   * @param arrived - entries in wire order
   * @throws {ProtocolError} `parent-missing` — an entry whose folder is not in the list
   */
  constructor(arrived: readonly FlistEntry[], protocol: number) {
    this.entries = sortFlist(arrived, protocol);
    this.#compare = protocol >= 29 ? compareFlist : compareFlistPre29;
    this.#check();
  }

  /** Whether the entry at a position repeats an earlier name. */
  isRepeated(ndx: number): boolean {
    return this.#repeated.has(ndx);
  }

  /** The entries without those that repeat a name. */
  get distinct(): readonly FlistEntry[] {
    if (this.#repeated.size === 0) return this.entries;
    return this.entries.filter((_entry, ndx) => !this.#repeated.has(ndx));
  }

  /** All positions of an object with several names, or undefined if it has only one. */
  namesOf(entry: FlistEntry): readonly number[] | undefined {
    if (entry.linkGroup === undefined) return undefined;
    const names = this.#groups.get(entry.linkGroup);
    return names !== undefined && names.length > 1 ? names : undefined;
  }

  /** Whether the list has this path, as an object of any type. */
  has(path: Uint8Array): boolean {
    return this.#find({ path, mode: 0o040000 }) || this.#find({ path, mode: 0o100000 });
  }

  #find(wanted: Pick<FlistEntry, 'path' | 'mode'>): boolean {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = this.entries[middle];
      const order = entry === undefined ? 1 : this.#compare(entry, wanted);
      if (order === 0) return true;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }

  /** Of equal names a folder counts before a file, then the first one. */
  #check(): void {
    const folders = new Set<string>();
    for (const entry of this.entries) if (isDirectory(entry)) folders.add(pathKey(entry.path));
    let previous: FlistEntry | undefined;
    for (const [ndx, entry] of this.entries.entries()) {
      const slash = entry.path.lastIndexOf(SLASH);
      if (slash !== -1 && !folders.has(pathKey(entry.path.subarray(0, slash)))) {
        throw new ProtocolError(
          'parent-missing',
          `the peer's file list has ${JSON.stringify(pathKey(entry.path))} but not its folder`,
        );
      }
      const repeats =
        (!isDirectory(entry) && folders.has(pathKey(entry.path))) ||
        (previous !== undefined && Buffer.compare(previous.path, entry.path) === 0);
      if (repeats) {
        this.#repeated.add(ndx);
        continue;
      }
      if (entry.linkGroup !== undefined) this.#join(entry.linkGroup, ndx);
      previous = entry;
    }
  }

  #join(group: number, ndx: number): void {
    const names = this.#groups.get(group);
    if (names === undefined) this.#groups.set(group, [ndx]);
    else names.push(ndx);
  }
}
