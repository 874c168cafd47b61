/** A tree that is listed in advance. */
import { setImmediate } from 'node:timers/promises';
import { isDirectory, type Entry, type OpenFile, type Tree } from './entry.ts';

/** After so many objects, other tasks get a turn. */
const ENTRIES_PER_TURN = 256;

/**
 * A tree that is listed in advance, while there is nothing better to do. A listing made in advance
 * is used once; the rest comes from the tree itself. Each folder is read once in either case.
 */
export class TreeAhead<E extends Entry> implements Tree<E> {
  readonly #tree: Tree<E>;
  readonly #listed = new Map<E, Promise<readonly E[]>>();
  #root: Promise<E> | undefined;
  #stopped = false;

  constructor(tree: Tree<E>) {
    this.#tree = tree;
  }

  /** Lists folder after folder until the first call of `children` or {@link stop}. Never fails. */
  async run(): Promise<void> {
    try {
      const pending = [await this.root()];
      let sinceTurn = 0;
      for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
        if (this.#stopped) return;
        const listing = this.#tree.children(folder);
        this.#listed.set(folder, listing);
        const children = await listing;
        pending.push(...children.filter(isDirectory));
        sinceTurn += 1 + children.length;
        if (sinceTurn < ENTRIES_PER_TURN) continue;
        sinceTurn = 0;
        await setImmediate();
      }
    } catch {
      // The error is thrown again when the folder is requested.
    }
  }

  /** Stops listing in advance. */
  stop(): void {
    this.#stopped = true;
  }

  root(): Promise<E> {
    return (this.#root ??= this.#tree.root());
  }

  children(directory: E): Promise<readonly E[]> {
    this.stop();
    const listing = this.#listed.get(directory);
    if (listing === undefined) return this.#tree.children(directory);
    this.#listed.delete(directory);
    return listing;
  }

  open(entry: E): Promise<OpenFile> {
    return this.#tree.open(entry);
  }
}
