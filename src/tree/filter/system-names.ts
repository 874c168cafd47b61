/** Names that systems give to things of their own in a folder: nobody's files, and nobody's loss. */
import { Filter, plainRule } from './filter.ts';

/** In the root of a file system or of a share. */
const IN_ROOT = [
  'lost+found',
  'aquota.user',
  'aquota.group',
  // Network storage: waste baskets and frozen states.
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

/** In any folder that a network storage or a Mac has looked at. */
const ANYWHERE = ['@eaDir', '.@__thumb', '.DS_Store', '._.DS_Store'];

/** The same as patterns of rsync. */
export const SYSTEM_PATTERNS: readonly string[] = [
  ...IN_ROOT.map((name) => `/${name}`),
  ...ANYWHERE,
];

const filter = new Filter(
  SYSTEM_PATTERNS.map((pattern) => plainRule('exclude', Buffer.from(pattern))),
);

/** @param path - in the folder that a file system or a share may begin with */
export function isSystemName(path: Uint8Array, isDirectory: boolean): boolean {
  return filter.verdict(path, isDirectory) === 'exclude';
}
