/**
 * How reliable the memory of a destination is: whether the last push there succeeded, and with
 * which options.
 */
import { createHash } from 'node:crypto';
import type { PushSettings } from '../source/push-settings.ts';

/** Stored per destination, beside the locations (`locations.ts`). */
export interface PushMark {
  /**
   * SHA-256 of the remembered locations, hex: the destination held exactly these. Absent while a
   * push is under way, and after one that was cut off, failed in part, or was limited to some
   * paths.
   */
  readonly locations?: string;
  /** When that push ended, milliseconds since 1970. */
  readonly endedMs: number;
  /** That push deleted everything that was not in the source, and no filter kept anything. */
  readonly isAll: boolean;
  /** Which attributes and kinds it carried. */
  readonly perms: boolean;
  readonly devices: boolean;
  readonly specials: boolean;
  /**
   * Every push to this destination was this vault's, the first one found an empty destination, and
   * none made hard links. Then the ID of every file follows from its birth or its path.
   */
  readonly filesAreExact: boolean;
  /** Some file had another birth than its path when that push ended. */
  readonly hasBirths: boolean;
}

const FLAGS = ['isAll', 'perms', 'devices', 'specials', 'filesAreExact', 'hasBirths'] as const;

/** @returns undefined for anything but a complete mark: then nothing is known */
export function decodeMark(bytes: Uint8Array | undefined): PushMark | undefined {
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined; // of another version: treated like a missing one
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const mark = value as Partial<PushMark>;
  const isWhole =
    FLAGS.every((name) => typeof mark[name] === 'boolean') &&
    typeof mark.endedMs === 'number' &&
    (mark.locations === undefined || typeof mark.locations === 'string');
  return isWhole ? (mark as PushMark) : undefined;
}

/** Inverse of {@link decodeMark}. */
export function encodeMark(mark: PushMark): Uint8Array {
  return Buffer.from(JSON.stringify(mark));
}

/** Stores a few bytes between pushes. */
interface Store {
  read(): Uint8Array | undefined;
  write(bytes: Uint8Array): void;
}

/** Where the mark of one destination is stored, and the memory that it is about. */
export interface MarkStores {
  readonly mark?: Store;
  readonly moves?: {
    readonly births: Pick<Store, 'read'> & { isDamaged?(): boolean; isFirst?(): boolean };
    readonly locations: Pick<Store, 'read'> & { digest?(): Uint8Array | undefined };
  };
}

/** How a successful push leaves a destination. */
export interface PushedState {
  readonly settings: Pick<
    PushSettings,
    'rules' | 'limits' | 'perms' | 'devices' | 'specials' | 'paths' | 'hardLinks'
  > &
    Partial<Pick<PushSettings, 'appendOnly'>>;
  /** All due deletions were done. */
  readonly isAllDeleted: boolean;
  /** Everything was pushed, without any failure. */
  readonly endedWell: boolean;
}

const BIRTHS_LOST =
  'the list of renamed files (index/births in the vault) is lost or damaged: `verify` may call such files changed, and `verify --repair` sends them again';

const BIRTHS_UNKNOWN =
  'this vault remembers nothing of its copy (its folder index/ is gone): if files were renamed before, `verify` calls them changed, and `verify --repair` sends them again';

/** Maintains the mark during one push. Does nothing without a store. */
export class PushMarker {
  readonly #stores: MarkStores;
  #filesAreExact = false;
  #hasBirths = false;

  constructor(stores: MarkStores) {
    this.#stores = stores;
  }

  /**
   * Call before anything is written at the destination.
   *
   * @param about.isFounding - the destination is empty, and this vault has not adopted a copy
   * @param about.isContinued - the copy is this vault's, which remembers nothing about it
   * @returns a message about lost births of an earlier push
   */
  begin(about: {
    readonly isFounding: boolean;
    readonly isContinued: boolean;
    readonly hardLinks: boolean;
  }): string | undefined {
    const { mark: store, moves } = this.#stores;
    if (store === undefined || moves === undefined) return undefined;
    const before = decodeMark(store.read());
    const isForgotten =
      moves.births.isDamaged?.() === true ||
      (before?.hasBirths === true && moves.births.read() === undefined);
    const isUnknown = about.isContinued && moves.births.isFirst?.() === true;
    const wasExact = about.isFounding || (before?.filesAreExact === true && !isForgotten);
    this.#filesAreExact = wasExact && !about.hardLinks;
    this.#hasBirths = before?.hasBirths ?? false;
    store.write(encodeMark(this.#mark({ endedMs: 0 })));
    if (isForgotten) return BIRTHS_LOST;
    return isUnknown ? BIRTHS_UNKNOWN : undefined;
  }

  /** Call after the push, when its memory was saved. */
  end({ settings, isAllDeleted, endedWell }: PushedState): void {
    const { mark: store, moves } = this.#stores;
    if (store === undefined || moves === undefined) return;
    this.#hasBirths = moves.births.read() !== undefined;
    const isWhole = endedWell && settings.paths.length === 0 && settings.appendOnly !== true;
    const digest = isWhole ? digestOf(moves.locations) : undefined;
    if (digest === undefined) return;
    const { rules, limits, perms, devices, specials } = settings;
    const isAll = isAllDeleted && rules.length === 0 && limits === undefined;
    const locations = Buffer.from(digest).toString('hex');
    const ended = { locations, endedMs: Date.now(), isAll, perms, devices, specials };
    store.write(encodeMark(this.#mark(ended)));
  }

  #mark(ended: Partial<PushMark> & Pick<PushMark, 'endedMs'>): PushMark {
    return {
      ...{ isAll: false, perms: false, devices: false, specials: false },
      filesAreExact: this.#filesAreExact,
      hasBirths: this.#hasBirths,
      ...ended,
    };
  }
}

/** Notes that something other than a push is about to change a destination. */
export function unsettle(store: Store | undefined): void {
  const mark = decodeMark(store?.read());
  if (mark?.locations === undefined) return;
  const unsettled: { -readonly [K in keyof PushMark]: PushMark[K] } = { ...mark };
  delete unsettled.locations;
  store?.write(encodeMark(unsettled));
}

function digestOf(store: NonNullable<MarkStores['moves']>['locations']): Uint8Array | undefined {
  if (store.digest !== undefined) return store.digest();
  const stored = store.read();
  return stored && createHash('sha256').update(stored).digest();
}
