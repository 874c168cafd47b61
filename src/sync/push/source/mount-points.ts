/** Folders of the source on which another file system was mounted when it was pushed. */
import { isDirectory } from '../../../tree/entry.ts';
import { isMountPoint } from '../../../tree/local/mount-point.ts';
import { isRootPath, parentKey } from '../../../bytes/paths.ts';
import { pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from './push-entry.ts';

/** What one push knows of mount points; paths are Latin-1 keys of plaintext paths. */
export interface MountPoints {
  /** On which something is mounted now. */
  readonly mounted: readonly string[];
  /** On which something was mounted at the last push, and nothing is now; also what is gone. */
  readonly lost: readonly string[];
}

/** Where mount points are looked for. */
export interface MountSearch {
  /** Absolute path of the source. */
  readonly source: string;
  /** What is read in its place; on what the source itself lies is seen at the source all the same. */
  readonly frozen?: string | undefined;
  readonly entries: readonly PushEntry[];
  /** Mount points that `--one-file-system` has left out. */
  readonly leftOut: readonly Uint8Array[];
  /** What was remembered of the last push. */
  readonly remembered: readonly string[];
}

/** Compares the mount points of the source with those of the last push. */
export function findMountPoints(search: MountSearch): MountPoints {
  const { source, frozen = source, entries, leftOut, remembered } = search;
  const mounted = new Set(mountedIn(entries));
  for (const path of leftOut) mounted.add(pathKey(path));
  // A part that this push does not look at is mounted or not all the same.
  for (const key of ['.', ...remembered]) {
    const root = key === '.' ? source : frozen;
    if (isMountPoint(root, Buffer.from(key, 'latin1'))) mounted.add(key);
  }
  return {
    mounted: [...mounted],
    lost: remembered.filter((key) => !mounted.has(key)),
  };
}

/** Folders on another device than the folder they are in. */
function* mountedIn(entries: readonly PushEntry[]): Generator<string> {
  const rootDevice = entries[0]?.plain?.dev;
  /** Only those on another device than the root, which are few. */
  const devices = new Map<string, number>();
  for (const { plain } of entries) {
    if (plain === undefined || !isDirectory(plain) || isRootPath(plain.path)) continue;
    if (plain.dev === rootDevice && devices.size === 0) continue;
    const key = pathKey(plain.path);
    if (plain.dev !== rootDevice) devices.set(key, plain.dev);
    if (plain.dev !== (devices.get(parentKey(key)) ?? rootDevice)) yield key;
  }
}
