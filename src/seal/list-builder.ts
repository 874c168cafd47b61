/** Builds the tree of chunks of a sealed list from objects in order. */
import { BugError } from '../errors.ts';
import { type ChunkRef, ChunkWriter, type FinishedChunk } from './chunk.ts';
import { compareSealedPaths, type SealedObject } from './sealed-object.ts';

/** A list that is complete. */
export interface SealedList {
  /** The digest of its topmost chunk; undefined for an empty list. */
  readonly root: Uint8Array | undefined;
  readonly objects: number;
}

/**
 * Builds the tree of chunks of a list from its objects in order. The same objects give the same chunks,
 * however they were added.
 *
 * A list is cut behind objects whose paths have a certain hash, so that a change concerns the
 * chunks around it and those above them: a prolly tree.
 */
export class SealedListBuilder {
  readonly #onChunk: (chunk: FinishedChunk, level: number) => void;
  readonly #levels: ChunkWriter[] = [new ChunkWriter(0)];
  /** Chunks of each level so far. */
  readonly #counts: number[] = [0];
  /** The only chunk of a level, while there is no other. */
  readonly #only: (ChunkRef | undefined)[] = [];
  #last: Uint8Array | undefined;
  #objects = 0;

  /** @param onChunk - takes each new chunk, those of a lower level first */
  constructor(onChunk: (chunk: FinishedChunk, level: number) => void) {
    this.#onChunk = onChunk;
  }

  /** Adds an object behind all others. */
  add(object: SealedObject): void {
    if (this.#last !== undefined && compareSealedPaths(this.#last, object.path) >= 0) {
      throw new BugError('invariant', 'a sealed list is not in order');
    }
    this.#last = object.path;
    this.#objects++;
    const chunk = this.#level(0).addObject(object);
    if (chunk !== undefined) this.#finished(chunk, 0);
  }

  /** Whether a chunk of this level may be added as a whole: all levels up to it are at a cut. */
  isAtCut(level: number): boolean {
    for (let below = 0; below <= level; below++) {
      if (this.#levels[below]?.isEmpty === false) return false;
      if (below < level && this.#only[below] !== undefined) return false;
    }
    return true;
  }

  /**
   * Adds all objects of a chunk of another list, as they are. Allowed {@link isAtCut} of its level, and
   * only for a chunk that another one of its level follows there: the last one may end without a cut.
   */
  addChunk(ref: ChunkRef, level: number): void {
    if (!this.isAtCut(level)) throw new BugError('invariant', 'a chunk was added within another');
    this.#last = ref.first;
    this.#objects += ref.objects;
    // There are several chunks below it, or it would not be there.
    for (let below = 0; below < level; below++) {
      this.#counts[below] = (this.#counts[below] ?? 0) + 2;
    }
    this.#joined(ref, level);
  }

  /** Ends the list. Nothing may be added afterwards. */
  finish(): SealedList {
    for (let level = 0; ; level++) {
      const chunk = this.#level(level).finish();
      if (chunk !== undefined) this.#finished(chunk, level);
      const count = this.#counts[level] ?? 0;
      if (count === 0) return { root: undefined, objects: 0 };
      if (count === 1) return { root: this.#only[level]?.digest, objects: this.#objects };
    }
  }

  #finished(chunk: FinishedChunk, level: number): void {
    this.#onChunk(chunk, level);
    this.#joined(chunk, level);
  }

  /** A chunk is complete: it becomes a child of the level above. */
  #joined({ digest, first, objects }: ChunkRef, level: number): void {
    const ref = { digest, first, objects };
    const count = (this.#counts[level] ?? 0) + 1;
    this.#counts[level] = count;
    if (count === 1) {
      // Only a second one makes a level above it necessary.
      this.#only[level] = ref;
      return;
    }
    const only = this.#only[level];
    this.#only[level] = undefined;
    if (only !== undefined) this.#addChild(only, level + 1);
    this.#addChild(ref, level + 1);
  }

  #addChild(ref: ChunkRef, level: number): void {
    const chunk = this.#level(level).addChild(ref);
    if (chunk !== undefined) this.#finished(chunk, level);
  }

  #level(level: number): ChunkWriter {
    const writer = (this.#levels[level] ??= new ChunkWriter(level));
    this.#counts[level] ??= 0;
    return writer;
  }
}
