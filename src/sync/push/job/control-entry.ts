/**
 * Control entries: list entries with a known answer, which tell a server's silence from an answer.
 */
import { randomBytes } from 'node:crypto';
import { LONG_NAME_PREFIX, NAME_FILE_SUFFIX } from '../../../gocryptfs/names/names.ts';
import { compareFlist } from '../../../rsync/flist/sort.ts';
import type { TransferOptions } from '../../../rsync/wire/options.ts';
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  isSymlink,
  S_IFCHR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  type Entry,
} from '../../../tree/entry.ts';

/** Kinds of objects that a server may store or leave out. Each needs a control entry of its own. */
export type StoredKind = 'file' | 'link' | 'device' | 'special';

/** @returns undefined for a folder, which every server makes */
export function kindOf(entry: Pick<Entry, 'mode'>): StoredKind | undefined {
  if (isRegularFile(entry)) return 'file';
  if (isSymlink(entry)) return 'link';
  if (isDevice(entry)) return 'device';
  return isSpecial(entry) ? 'special' : undefined;
}

/** A list entry that exists nowhere. A server that answers must report it as missing. */
export interface AbsentControl {
  readonly kind: StoredKind;
  readonly entry: Entry & { readonly bytes?: Uint8Array };
}

const CONTENT = Uint8Array.of(0);
/** A name that no folder has, and that a mount would not show. */
const CONTROL_PREFIX = `${LONG_NAME_PREFIX}ecsync-control-`;

/**
 * One control entry for files, and one for every other kind that is in the list and that the
 * options carry.
 *
 * @param entries - the list, the root first; without a root there are no controls
 */
export function absentControls(
  entries: readonly Entry[],
  options: Pick<TransferOptions, 'devices' | 'specials' | 'links'>,
): readonly AbsentControl[] {
  const [root] = entries;
  if (root === undefined) return [];
  const kinds = new Set<StoredKind>(['file']);
  for (const entry of entries) {
    if (isDirectory(entry) || isRegularFile(entry)) continue;
    const kind = kindOf(entry);
    if (kind !== undefined) kinds.add(kind);
  }
  if (!options.links) kinds.delete('link');
  if (!options.devices) kinds.delete('device');
  if (!options.specials) kinds.delete('special');
  const token = randomBytes(6).toString('hex');
  return [...kinds].map((kind) => ({ kind, entry: absentEntry(kind, root, token) }));
}

function absentEntry(kind: StoredKind, { uid, gid }: Entry, token: string): AbsentControl['entry'] {
  const path = Buffer.from(`${CONTROL_PREFIX}${token}-${kind}${NAME_FILE_SUFFIX}`);
  const common = { path, size: CONTENT.length, mtimeSec: 0, mtimeNsec: 0, uid, gid };
  switch (kind) {
    case 'file':
      return { ...common, mode: S_IFREG | 0o600, bytes: CONTENT };
    case 'link':
      return { ...common, mode: S_IFLNK | 0o777, target: path, size: path.length };
    case 'device':
      return { ...common, mode: S_IFCHR | 0o600, size: 0, rdev: { major: 1, minor: 3 } };
    case 'special':
      return { ...common, mode: S_IFIFO | 0o600, size: 0 };
  }
}

/** Inserts control entries at their place in a sorted list: among the files of the root. */
export function withControls<E extends Entry>(
  entries: readonly E[],
  controls: readonly AbsentControl[],
): readonly (E | AbsentControl['entry'])[] {
  if (controls.length === 0) return entries;
  const added = controls.map(({ entry }) => entry).sort(compareFlist);
  const list: (E | AbsentControl['entry'])[] = [];
  let next = 0;
  for (const entry of entries) {
    for (
      let control = added[next];
      control !== undefined && compareFlist(control, entry) < 0;
      control = added[++next]
    ) {
      list.push(control);
    }
    list.push(entry);
  }
  list.push(...added.slice(next));
  return list;
}
