/** A copy as it would be after the repair of the format's own files. */
import { DIR_IV_NAME_BYTES } from '../../gocryptfs/names/names.ts';
import { S_IFREG, type Entry, type OpenFile, type Tree } from '../../tree/entry.ts';
import { BytesFile } from '../../view/encrypt/cipher-file.ts';
import { joinPath, pathKey, splitPath } from '../../bytes/paths.ts';

/**
 * A copy as it would be without its damage: some of the format's own files have their correct
 * content, whatever is stored. The copy itself is not changed.
 */
export class MendedTree<C extends Entry> implements Tree<C> {
  readonly #copy: Tree<C>;
  readonly #dirIVOf: ((cipherPath: Uint8Array) => Uint8Array) | undefined;
  /** Corrected `.name` files: by the key of the directory, then of the path. */
  readonly #nameFiles = new Map<string, Map<string, Uint8Array>>();
  readonly #contents = new Map<C, Uint8Array>();

  /** @param dirIVOf - the IV of every directory, if it follows from its cipher path */
  constructor(copy: Tree<C>, dirIVOf?: (cipherPath: Uint8Array) => Uint8Array) {
    this.#copy = copy;
    this.#dirIVOf = dirIVOf;
  }

  /** Adds a `.name` file with this content. */
  mendNameFile(path: Uint8Array, bytes: Uint8Array): void {
    const key = pathKey(splitPath(path).directory);
    const mended = this.#nameFiles.get(key) ?? new Map<string, Uint8Array>();
    mended.set(pathKey(path), bytes);
    this.#nameFiles.set(key, mended);
  }

  root(): Promise<C> {
    return this.#copy.root();
  }

  async children(directory: C): Promise<readonly C[]> {
    this.#contents.clear();
    const mended = new Map(this.#nameFiles.get(pathKey(directory.path)));
    if (this.#dirIVOf !== undefined) {
      const path = joinPath(directory.path, DIR_IV_NAME_BYTES);
      mended.set(pathKey(path), this.#dirIVOf(directory.path));
    }
    const stored = await this.#copy.children(directory);
    if (mended.size === 0) return stored;
    const kept = stored.filter(({ path }) => !mended.has(pathKey(path)));
    const made = [...mended].map(([key, bytes]) => this.#make(directory, key, bytes));
    return [...kept, ...made];
  }

  open(entry: C): Promise<OpenFile> {
    const bytes = this.#contents.get(entry);
    return bytes === undefined ? this.#copy.open(entry) : Promise.resolve(new BytesFile(bytes));
  }

  #make(directory: C, key: string, bytes: Uint8Array): C {
    const path = Buffer.from(key, 'latin1');
    // Spreading would lose the getters of a class.
    const { mtimeSec, mtimeNsec, uid, gid } = directory;
    const attributes = { size: bytes.length, mtimeSec, mtimeNsec, uid, gid };
    const entry = { ...directory, ...attributes, path, mode: S_IFREG | 0o444 };
    this.#contents.set(entry, bytes);
    return entry;
  }
}
