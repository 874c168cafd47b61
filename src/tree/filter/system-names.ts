/** Names of objects that systems create in folders for their own use; losing them is no loss. */
import { Filter, plainRule } from './filter.ts';

/** In the root of a file system or of a share. */
const IN_ROOT = [
  'lost+found',
  'aquota.user',
  'aquota.group',
  // Network storage: recycle bins and snapshots.
  '#recycle',
  '#snapshot',
  '@Recycle',
  '@Recently-Snapshot',
  '.snapshot',
  '.snapshots',
  '.zfs',
  // Desktops.
  '.Trash',
  '.Trashes',
  '.Trash-*',
  '.Spotlight-V100',
  '.DocumentRevisions-V100',
  '.TemporaryItems',
  '.fseventsd',
  '.apdisk',
  'System Volume Information',
  '$RECYCLE.BIN',
  'RECYCLER',
];

/** In any folder that a NAS or a Mac has opened. */
const ANYWHERE = ['@eaDir', '.@__thumb', '.DS_Store', '._.DS_Store'];

/** The same as rsync patterns. */
export const SYSTEM_PATTERNS: readonly string[] = [
  ...IN_ROOT.map((name) => `/${name}`),
  ...ANYWHERE,
];

const filter = new Filter(
  SYSTEM_PATTERNS.map((pattern) => plainRule('exclude', Buffer.from(pattern))),
);

/** @param path - relative to a folder that may be the root of a file system or of a share */
export function isSystemName(path: Uint8Array, isDirectory: boolean): boolean {
  return filter.verdict(path, isDirectory) === 'exclude';
}
