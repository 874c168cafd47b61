/** Decides which attributes the receiving side sets, and translates owners. */
import { isDirectory, isSymlink, type Entry } from '../../tree/entry.ts';
import { isWindows } from '../../platform.ts';
import type { Attributes } from '../../tree/store.ts';
import {
  ITEM_REPORT_GROUP,
  ITEM_REPORT_OWNER,
  ITEM_REPORT_PERMS,
  ITEM_REPORT_TIME,
} from '../wire/constants.ts';
import type { IdNames } from '../flist/id-list.ts';
import type { TransferOptions } from '../wire/options.ts';

const PERMISSIONS = 0o7777;
const OWNER_WRITES = 0o200;

/** The local ids by name, and the permission bits that apply here. */
export interface LocalDefaults {
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
  /** Only without `-p`. Default 022. */
  readonly umask?: number;
  /** The permission bits that a peer may set. Default: all, including set-id and sticky bits. */
  readonly modeBits?: number;
}

/** How an object at the destination differs from its entry in the list. */
export interface AttributeDifference {
  /** ITEM_REPORT_* bits. */
  readonly iflags: number;
  /** The attributes to set, or undefined if nothing differs. */
  readonly attributes: Attributes | undefined;
}

/** Decides which attributes of the list are set, and translates owners. */
export class AttributePolicy {
  readonly #options: TransferOptions;
  readonly #userIds: ReadonlyMap<number, number>;
  readonly #groupIds: ReadonlyMap<number, number>;
  readonly #isRoot = process.geteuid?.() === 0;
  readonly #ownGroups = new Set([process.getegid?.() ?? -1, ...(process.getgroups?.() ?? [])]);
  readonly #umask: number;
  readonly #modeBits: number;

  constructor(options: TransferOptions, names: IdNames, local: LocalDefaults) {
    this.#options = options;
    this.#umask = local.umask ?? 0o022;
    this.#modeBits = local.modeBits ?? PERMISSIONS;
    this.#userIds = translation(names.users, local.users);
    this.#groupIds = translation(names.groups, local.groups);
  }

  /** All attributes of a newly created object; `replaced` is the object that it replaces. */
  forNew(entry: Entry, replaced?: Entry): Attributes & { readonly mode: number } {
    const { times } = this.#options;
    const uid = this.#uid(entry);
    const gid = this.#gid(entry);
    return {
      mode: this.#mode(entry, replaced),
      ...(times && { mtimeSec: entry.mtimeSec, mtimeNsec: entry.mtimeNsec }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
    };
  }

  /** Compares only a folder's time; its mode and owner stay unchanged. */
  compareTime(entry: Entry, existing: Entry): AttributeDifference {
    if (!this.#options.times || isSameTime(entry, existing, this.#options)) {
      return { iflags: 0, attributes: undefined };
    }
    const { mtimeSec, mtimeNsec } = entry;
    return { iflags: ITEM_REPORT_TIME, attributes: { mtimeSec, mtimeNsec } };
  }

  /** Compares an existing object with its entry; times by whole seconds. */
  compare(entry: Entry, existing: Entry): AttributeDifference {
    const { times } = this.#options;
    const kept = keptPermissions(entry) & this.#modeBits;
    const uid = this.#uid(entry);
    const gid = this.#gid(entry);
    const timeDiffers = times && !isSameTime(entry, existing, this.#options);
    const modeDiffers =
      this.#options.perms && !isSymlink(entry) && (entry.mode & kept) !== (existing.mode & kept);
    const ownerDiffers = uid !== undefined && uid !== existing.uid;
    const groupDiffers = gid !== undefined && gid !== existing.gid;
    const iflags =
      (timeDiffers ? ITEM_REPORT_TIME : 0) |
      (modeDiffers ? ITEM_REPORT_PERMS : 0) |
      (ownerDiffers ? ITEM_REPORT_OWNER : 0) |
      (groupDiffers ? ITEM_REPORT_GROUP : 0);
    if (iflags === 0) return { iflags, attributes: undefined };
    // A change of owner clears the set-id bits, so the mode is set again.
    const setMode = modeDiffers || ownerDiffers || groupDiffers;
    return {
      iflags,
      attributes: {
        ...(setMode && { mode: this.#mode(entry, existing) }),
        ...(timeDiffers && { mtimeSec: entry.mtimeSec, mtimeNsec: entry.mtimeNsec }),
        ...(ownerDiffers && { uid }),
        ...(groupDiffers && { gid }),
      },
    };
  }

  #mode(entry: Entry, replaced: Entry | undefined): number {
    // An existing folder keeps the bits that a peer may not set. A file does not: its content is
    // new.
    const isFolderThere = replaced !== undefined && isDirectory(entry) && isDirectory(replaced);
    const own = isFolderThere ? replaced.mode & PERMISSIONS & ~this.#modeBits : 0;
    if (this.#options.perms) return (entry.mode & this.#modeBits) | own;
    if (replaced !== undefined) return (replaced.mode & this.#modeBits) | own;
    return entry.mode & 0o777 & ~this.#umask;
  }

  #uid(entry: Entry): number | undefined {
    if (!this.#options.owner || !this.#isRoot) return undefined;
    return this.#userIds.get(entry.uid) ?? entry.uid;
  }

  #gid(entry: Entry): number | undefined {
    if (!this.#options.group || process.getegid === undefined) return undefined;
    const gid = this.#groupIds.get(entry.gid) ?? entry.gid;
    return this.#isRoot || this.#ownGroups.has(gid) ? gid : undefined;
  }
}

/** Whether two times are equal by whole seconds, within the modify window. */
export function isSameTime(
  a: Pick<Entry, 'mtimeSec'>,
  b: Pick<Entry, 'mtimeSec'>,
  { modifyWindowSec = 0 }: Pick<TransferOptions, 'modifyWindowSec'>,
): boolean {
  return Math.abs(a.mtimeSec - b.mtimeSec) <= modifyWindowSec;
}

/** The permission bits that this platform stores: on Windows only the write bit of files. */
function keptPermissions(entry: Entry): number {
  if (!isWindows) return PERMISSIONS;
  return isDirectory(entry) ? 0 : OWNER_WRITES;
}

/** Peer's id → local id, for every name that both sides have. */
function translation(
  theirs: ReadonlyMap<number, string>,
  ours: ReadonlyMap<string, number>,
): Map<number, number> {
  const ids = new Map<number, number>();
  for (const [id, name] of theirs) {
    const own = ours.get(name);
    if (own !== undefined) ids.set(id, own);
  }
  return ids;
}
