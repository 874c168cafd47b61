import {
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  isDirectory,
  type Entry,
  type OpenFile,
  type Tree,
} from '../../src/tree/entry.ts';

/** An object of a {@link MemoryTree}. */
export interface MemoryEntry extends Entry {
  /** Content of a regular file. Tests may replace it while the file is open. */
  content?: Buffer;
}

const DOT = Buffer.from('.');

/** A plaintext tree without a disk, for tests that change files while they are read. */
export class MemoryTree implements Tree<MemoryEntry> {
  readonly #entries: MemoryEntry[] = [];
  /** Every read of content, in order: `[offset, length]`. */
  readonly reads: (readonly [number, number])[] = [];
  readonly #root = this.#make(DOT, S_IFDIR | 0o755);

  add(path: string | Uint8Array, facts: Partial<MemoryEntry>): MemoryEntry {
    const entry = this.#make(Buffer.from(path), S_IFREG | 0o644, facts);
    this.#entries.push(entry);
    return entry;
  }

  addDirectory(path: string | Uint8Array): MemoryEntry {
    return this.add(path, { mode: S_IFDIR | 0o755, size: 0 });
  }

  addFile(path: string | Uint8Array, content: Buffer): MemoryEntry {
    return this.add(path, { content, size: content.length });
  }

  addSymlink(path: string | Uint8Array, target: Uint8Array): MemoryEntry {
    return this.add(path, { mode: S_IFLNK | 0o777, target, size: target.length });
  }

  root(): Promise<MemoryEntry> {
    return Promise.resolve(this.#root);
  }

  children(directory: MemoryEntry): Promise<readonly MemoryEntry[]> {
    const parent = Buffer.from(directory.path).toString('latin1');
    const prefix = parent === '.' ? '' : `${parent}/`;
    const isChild = (path: string) =>
      path.startsWith(prefix) && !path.slice(prefix.length).includes('/');
    const found = this.#entries.filter(({ path }) => isChild(Buffer.from(path).toString('latin1')));
    return Promise.resolve(isDirectory(directory) ? found : []);
  }

  open(entry: MemoryEntry): Promise<OpenFile> {
    const { reads } = this;
    const size = entry.content?.length ?? 0;
    return Promise.resolve({
      size,
      positional: false,
      read: (offset: number, length: number) => {
        reads.push([offset, length]);
        return Promise.resolve(Buffer.from(entry.content?.subarray(offset, offset + length) ?? []));
      },
      close: () => Promise.resolve(entry.content?.length === size ? 'unchanged' : 'changed'),
    });
  }

  #make(path: Uint8Array, mode: number, facts: Partial<MemoryEntry> = {}): MemoryEntry {
    return { path, mode, size: 0, mtimeSec: 5, mtimeNsec: 6, uid: 7, gid: 8, ...facts };
  }
}
