/** Where a store builds what gets its own name only when it is whole. */
import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { splitPath } from '../safe-path.ts';

const DOT = Buffer.from('.');
/** Part of a name that its temporary name keeps: short enough for every file system. */
const TEMPORARY_PART_LENGTH = 100;

/** A path, and the folder that it counts from. */
export interface Place {
  readonly handles: DirectoryHandles;
  readonly at: Uint8Array;
}

/** Gives out names that nothing has, in a folder for them or beside the final names. */
export class TemporaryPlaces {
  readonly #handles: DirectoryHandles;
  readonly #temporary: DirectoryHandles | undefined;
  /** Makes the names of this store its own. */
  readonly #own = randomBytes(4).toString('hex');
  #count = 0;

  /** @param temporary - absent: names are given out beside the final ones */
  constructor(handles: DirectoryHandles, temporary: DirectoryHandles | undefined) {
    this.#handles = handles;
    this.#temporary = temporary;
  }

  /** `.name.XXXXXX…`, as rsync names what it builds. */
  for(entryPath: Uint8Array): Place {
    return this.#place(entryPath, temporaryPrefix(splitPath(entryPath).name));
  }

  /** A name of ASCII characters only. */
  plain(entryPath: Uint8Array): Place {
    return this.#place(entryPath, DOT);
  }

  #place(entryPath: Uint8Array, prefix: Uint8Array): Place {
    const end = Buffer.from(`${this.#own}${(this.#count++).toString(36)}`);
    if (this.#temporary !== undefined) {
      return { handles: this.#temporary, at: Buffer.concat([prefix, end]) };
    }
    const { name } = splitPath(entryPath);
    const folder = entryPath.subarray(0, entryPath.length - name.length);
    return { handles: this.#handles, at: Buffer.concat([folder, prefix, end]) };
  }
}

/** What the temporary names of a file that is to get this name begin with. */
export function temporaryPrefix(name: Uint8Array): Buffer {
  return Buffer.concat([DOT, name.subarray(0, TEMPORARY_PART_LENGTH), DOT]);
}

/** Both paths for one system call that takes two. */
export function locateBoth(first: Place, second: Place): [Buffer, Buffer] {
  if (first.handles === second.handles) return first.handles.locateBoth(first.at, second.at);
  return [first.handles.locate(first.at), second.handles.locate(second.at)];
}

export function removeQuietly({ handles, at }: Place): void {
  try {
    unlinkSync(handles.locate(at));
  } catch {
    // It was renamed, or cannot be removed: the file that matters is not this one.
  }
}
