/** Finds folders of the source on which another file system is mounted, or was at the last push. */
import { isDirectory } from '../../../tree/entry.ts';
import { isMountPoint } from '../../../tree/local/mount-point.ts';
import { isRootPath, parentKey } from '../../../bytes/paths.ts';
import { pathKey } from '../../../bytes/paths.ts';
import type { PushEntry } from './push-entry.ts';

/** The mount points of one push. Paths are Latin-1 keys of plaintext paths. */
export interface MountPoints {
  /** Mount points of now. */
  readonly mounted: readonly string[];
  /** Mount points of the last push on which nothing is mounted now, or which are gone. */
  readonly lost: readonly string[];
}

/** Where mount points are searched. */
export interface MountSearch {
  /** Absolute path of the source. */
  readonly source: string;
  /**
   * A snapshot that is read instead. The device of the source is still taken from the source
   * itself.
   */
  readonly frozen?: string | undefined;
  readonly entries: readonly PushEntry[];
  /** Mount points that `--one-file-system` has left out. */
  readonly leftOut: readonly Uint8Array[];
  /** Mount points of the last push. */
  readonly remembered: readonly string[];
}

/** Compares the mount points of the source with those of the last push. */
export function findMountPoints(search: MountSearch): MountPoints {
  const { source, frozen = source, entries, leftOut, remembered } = search;
  const mounted = new Set(mountedIn(entries));
  for (const path of leftOut) mounted.add(pathKey(path));
  // Includes mount points outside of the pushed part.
  for (const key of ['.', ...remembered]) {
    const root = key === '.' ? source : frozen;
    if (isMountPoint(root, Buffer.from(key, 'latin1'))) mounted.add(key);
  }
  return {
    mounted: [...mounted],
    lost: remembered.filter((key) => !mounted.has(key)),
  };
}

/** Folders on another device than their parent folder. */
function* mountedIn(entries: readonly PushEntry[]): Generator<string> {
  const rootDevice = entries[0]?.plain?.dev;
  /** Only folders on another device than the root, which are few. */
  const devices = new Map<string, number>();
  for (const { plain } of entries) {
    if (plain === undefined || !isDirectory(plain) || isRootPath(plain.path)) continue;
    if (plain.dev === rootDevice && devices.size === 0) continue;
    const key = pathKey(plain.path);
    if (plain.dev !== rootDevice) devices.set(key, plain.dev);
    if (plain.dev !== (devices.get(parentKey(key)) ?? rootDevice)) yield key;
  }
}
