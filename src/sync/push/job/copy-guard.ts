/**
 * Checks that the copy of earlier pushes still exists. If its disk is not mounted, a push would
 * make a second copy below the mount point. This needs no run of its own: the first run of a push
 * also lists the files that identify a copy, and nothing is sent until the server has shown that it
 * has them.
 */
import { NotNowError, VaultError, type EcsyncError } from '../../../errors.ts';
import { isRegularFile } from '../../../tree/entry.ts';
import { compareFlist } from '../../../rsync/flist/sort.ts';
import { ITEM_RECORDS_SINCE } from '../../../rsync/wire/constants.ts';
import { pathKey } from '../../../bytes/paths.ts';
import type { Destination } from '../../../vault/destination/destination.ts';
import { isNew, isTransfer } from './itemize.ts';
import type { PushEntry } from '../source/push-entry.ts';

/** After this many pending requests, the guard asks in a run of its own. */
const WAITING_MAX = 2000;
/** Messages of servers whose parent folder, or restricted root, does not exist. */
const NO_FOLDER =
  /mkdir.*No such file or directory|restricted directory does not exist|ch(?:dir|root) failed/i;

/** The parts of a run that matter here. */
interface WatchedRun {
  readonly entries: readonly PushEntry[];
  readonly options: { readonly deleteAfter: boolean };
  /** Another folder than the copy's. */
  readonly destination?: string;
}

/** The callbacks between one run and the guard. */
export interface Watch {
  /** The list, with the files that identify a copy. */
  readonly entries: readonly PushEntry[];
  readonly isAdded: (entry: PushEntry) => boolean;
  /** A request has arrived, or undefined after the last one. No earlier request was answered. */
  onRequest(entry: PushEntry | undefined, iflags: number): void;
  /** Resolves when files may be sent. Rejects if the copy is gone. */
  readonly settled: Promise<void>;
  readonly isWaiting: () => boolean;
}

/** Ends a run because the copy seems to be gone. */
export class InDoubt extends VaultError {}

export class CopyGuard {
  readonly #recognising: readonly PushEntry[];
  readonly #hasItemRecords: boolean;
  #state: 'waiting' | 'there' | 'doubtful' | 'gone' = 'waiting';

  /** @param snapshot - what the copy should have, the root first */
  constructor(
    snapshot: { readonly entries: readonly PushEntry[] },
    { protocolMax }: { readonly protocolMax: number },
  ) {
    this.#recognising = recognisingFiles(snapshot.entries);
    this.#hasItemRecords = protocolMax >= ITEM_RECORDS_SINCE;
  }

  get isDoubtful(): boolean {
    return this.#state === 'doubtful';
  }

  /** Something suggests that the copy is gone. */
  doubt(): void {
    if (this.#state === 'waiting') this.#state = 'doubtful';
  }

  get isGone(): boolean {
    return this.#state === 'gone';
  }

  /** The result of an explicit check. */
  settle(isThere: boolean): void {
    this.#state = isThere ? 'there' : 'gone';
  }

  /** A run failed to start, with this message of the server. */
  heard(text: string): void {
    if (this.#state === 'waiting' && NO_FOLDER.test(text)) this.#state = 'gone';
  }

  /** @returns undefined if the run need not be watched, or cannot be */
  watch({ entries, options, destination }: WatchedRun): Watch | undefined {
    const [root] = entries;
    if (this.#state !== 'waiting' || destination !== undefined || root === undefined)
      return undefined;
    const listed = new Set(entries.length < WAITING_MAX ? entries.map(keyOf) : []);
    const isListed = (entry: PushEntry): boolean =>
      entries.includes(entry) || listed.has(keyOf(entry));
    // The list of a deletion question must not change.
    const added = options.deleteAfter ? [] : this.#recognising.filter((one) => !isListed(one));
    const list =
      added.length === 0 ? entries : [root, ...[...entries.slice(1), ...added].sort(compareFlist)];
    return this.#watching(list, { root, added: new Set(added) });
  }

  #watching(
    entries: readonly PushEntry[],
    { root, added }: { readonly root: PushEntry; readonly added: ReadonlySet<PushEntry> },
  ): Watch {
    const missing = new Set<string>();
    const places = new Map(this.#recognising.map((one) => [keyOf(one), one]));
    const last = this.#recognising.at(-1);
    const isKnown = last !== undefined && (added.has(last) || entries.includes(last));
    let waiting = 0;
    let open: () => void = () => undefined;
    let close: (error: Error) => void = () => undefined;
    const settled = new Promise<void>((resolve, reject) => {
      open = resolve;
      close = reject;
    });
    settled.catch(() => undefined);
    const end = (state: 'there' | 'doubtful' | 'gone'): void => {
      this.#state = state;
      if (state === 'there') {
        open();
        return;
      }
      const error = new InDoubt('copy-gone', 'the copy is gone');
      close(error);
      throw error;
    };
    // Older servers order the list differently.
    const isPast = (entry: PushEntry): boolean =>
      this.#hasItemRecords && (last === undefined || compareFlist(entry, last) > 0);
    return {
      entries,
      settled,
      isAdded: (entry) => added.has(entry),
      isWaiting: () => this.#state === 'waiting',
      onRequest: (entry, iflags) => {
        if (this.#state !== 'waiting') return;
        if (entry === root && isNew(iflags)) end('gone');
        else if (entry === undefined || (isPast(entry) && entry !== root)) {
          end(!isKnown || missing.size < places.size ? 'there' : 'doubtful');
        } else if (places.has(keyOf(entry)) && isTransfer(iflags)) {
          if (!isNew(iflags) && this.#hasItemRecords) end('there');
          else if (missing.add(keyOf(entry)).size === places.size) end('doubtful');
        } else if (this.#hasItemRecords && isRegularFile(entry) && !isNew(iflags)) end('there');
        else if (++waiting === WAITING_MAX) end('doubtful');
      },
    };
  }
}

function keyOf({ path }: Pick<PushEntry, 'path'>): string {
  return pathKey(path);
}

/** In the order of the list: conf and root diriv, or the marker of a mirror. */
function recognisingFiles(entries: readonly PushEntry[]): readonly PushEntry[] {
  return entries.filter(
    ({ path, virtual }) => virtual !== undefined && virtual !== 'name' && !path.includes(0x2f),
  );
}

/**
 * Whether a folder holds at least one file of a copy: one that identifies it, or any other.
 *
 * @param hasFile - whether a file of this name lies in the folder
 */
export function holdsCopy(
  { entries }: { readonly entries: readonly PushEntry[] },
  hasFile: (name: Uint8Array) => boolean,
): boolean {
  return entries.some(
    (entry) => isRegularFile(entry) && !entry.path.includes(0x2f) && hasFile(entry.path),
  );
}

/** The error of a push whose copy is gone. */
export function copyGone(destination: Destination): EcsyncError {
  const text = `${destination.shown}: the copy is gone that was there`;
  const hint =
    'Is the disk mounted that it is on? To make a new one there all the same: ecsync push --new-copy';
  return destination.kind === 'local'
    ? new NotNowError('copy-gone', text, { hint })
    : new VaultError('copy-gone', text, { hint });
}
