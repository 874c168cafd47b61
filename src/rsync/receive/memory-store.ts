/** A store that keeps the regular files it receives in memory. */
import { pathKey } from '../../bytes/paths.ts';
import { FileError } from '../../errors.ts';
import { S_IFREG, type Entry, type OpenFile } from '../../tree/entry.ts';
import type { NewFile, Store } from '../../tree/store.ts';
import { pathText } from '../wire/problem.ts';

/** The capacity of a {@link MemoryStore}. */
export interface MemoryStoreLimits {
  /** Longest file, in bytes. */
  readonly lengthMax: number;
  /** All files together, in bytes. */
  readonly totalMax: number;
}

/** A store that keeps regular files in memory and ignores all other objects. */
export class MemoryStore implements Store {
  /** Path as latin1 text, one character a byte → content. */
  readonly files = new Map<string, Buffer>();
  readonly #limits: MemoryStoreLimits;
  #total = 0;

  constructor(limits: MemoryStoreLimits) {
    this.#limits = limits;
  }

  createFile(path: Uint8Array): Promise<NewFile> {
    const pieces: Buffer[] = [];
    let length = 0;
    const assertFits = (added: number): void => {
      const { lengthMax, totalMax } = this.#limits;
      if (length + added > lengthMax) throw fileTooLarge({ path }, lengthMax);
      if (this.#total + added > totalMax) throw fileTooLarge({ path }, totalMax);
    };
    const discard = (): Promise<void> => {
      this.#total -= length;
      length = 0;
      pieces.length = 0;
      return NOTHING;
    };
    return Promise.resolve({
      write: (bytes) =>
        Promise.resolve().then(() => {
          assertFits(bytes.length);
          length += bytes.length;
          this.#total += bytes.length;
          pieces.push(Buffer.from(bytes));
        }),
      commit: () => {
        this.files.set(pathKey(path), Buffer.concat(pieces, length));
        return NOTHING;
      },
      discard,
    });
  }

  /** Finds a file that was stored before, so that further names can be linked to it. */
  lookup(path: Uint8Array): Promise<Entry | undefined> {
    const content = this.files.get(pathKey(path));
    if (content === undefined) return NOTHING;
    const unknown = { mtimeSec: 0, mtimeNsec: 0, uid: 0, gid: 0 };
    return Promise.resolve({ path, mode: S_IFREG, size: content.length, ...unknown });
  }

  prepare = (): Promise<void> => NOTHING;
  lookupEarlier = (): Promise<undefined> => NOTHING;
  list = (): Promise<readonly Uint8Array[]> => Promise.resolve([]);
  open = (entry: Entry): Promise<OpenFile> => Promise.reject(notInMemory(entry));
  openEarlier = (entry: Entry): Promise<OpenFile> => Promise.reject(notInMemory(entry));
  linkEarlier = (): Promise<void> => NOTHING;
  isSameObject = (): boolean => false;
  createDirectory = (): Promise<void> => NOTHING;
  createSymlink = (): Promise<void> => NOTHING;
  createSpecial = (): Promise<void> => NOTHING;
  setAttributes = (): Promise<void> => NOTHING;
  removeFile = (): Promise<void> => NOTHING;
  removeDirectory = (): Promise<void> => NOTHING;
  settle = (): Promise<void> => NOTHING;

  createLink(path: Uint8Array, existing: Uint8Array): Promise<void> {
    const content = this.files.get(pathKey(existing));
    if (content !== undefined) this.files.set(pathKey(path), content);
    return NOTHING;
  }
}

const NOTHING = Promise.resolve(undefined);

/** The error for a file that exceeds a limit of memory. */
export function fileTooLarge(entry: Pick<Entry, 'path'>, lengthMax: number): FileError {
  const shown = pathText(entry);
  return new FileError('file-too-large', `${shown} does not fit into ${lengthMax} bytes`, {
    facts: { path: shown, lengthMax },
  });
}

function notInMemory(entry: Entry): FileError {
  return new FileError('open-failed', `${pathText(entry)} is not in memory`);
}
