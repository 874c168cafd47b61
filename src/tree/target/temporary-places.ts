/** Gives out temporary names for objects that a store builds. */
import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import type { DirectoryHandles } from '../local/directory-handles.ts';
import { splitPath } from '../../bytes/paths.ts';

const DOT = Buffer.from('.');
/** Length of a name's part that its temporary name keeps: short enough for every file system. */
const TEMPORARY_PART_LENGTH = 100;

/** A path, and the handles of the folder that it is relative to. */
export interface Place {
  readonly handles: DirectoryHandles;
  readonly at: Uint8Array;
}

/** Gives out unused names, in a folder for them or beside the final names. */
export class TemporaryPlaces {
  readonly #handles: DirectoryHandles;
  readonly #temporary: DirectoryHandles | undefined;
  /** Distinguishes the names of this store from others. */
  readonly #own = randomBytes(4).toString('hex');
  #count = 0;

  /** @param temporary - absent: names are beside the final ones */
  constructor(handles: DirectoryHandles, temporary: DirectoryHandles | undefined) {
    this.#handles = handles;
    this.#temporary = temporary;
  }

  /** `.name.XXXXXX…`, like rsync's temporary names. */
  for(entryPath: Uint8Array): Place {
    return this.#place(entryPath, temporaryPrefix(splitPath(entryPath).name));
  }

  /** A temporary name in ASCII. */
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

/** The prefix of the temporary names of a file with this final name. */
export function temporaryPrefix(name: Uint8Array): Buffer {
  return Buffer.concat([DOT, name.subarray(0, TEMPORARY_PART_LENGTH), DOT]);
}

/** Both paths, for one system call that takes two. */
export function locateBoth(first: Place, second: Place): [Buffer, Buffer] {
  if (first.handles === second.handles) return first.handles.locateBoth(first.at, second.at);
  return [first.handles.locate(first.at), second.handles.locate(second.at)];
}

export function removeQuietly({ handles, at }: Place): void {
  try {
    unlinkSync(handles.locate(at));
  } catch {
    // It was renamed, or cannot be removed: only the final file matters.
  }
}
