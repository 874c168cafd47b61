/** Makes the next list of a copy from the last one and what has changed. */
import { fetchChunk, fetchRoot, type ExpectedChunk, type FetchChunk } from './list-reader.ts';
import type { Chunk } from './chunk.ts';
import type { SealedListBuilder } from './list-builder.ts';
import { compareSealedPaths, type SealedObject } from './sealed-object.ts';

/** What a path has from now on. */
export interface SealedEdit {
  readonly path: Uint8Array;
  /** Absent: nothing. */
  readonly object: SealedObject | undefined;
}

/**
 * Puts the objects of a list and the edits of it into a builder. Only chunks around an edit are fetched; all
 * others are added as they are.
 *
 * @param edits - in order of their paths, each path once
 * @throws {IntegrityError} `seal-invalid`
 */
export async function editSealedList(
  root: Uint8Array | undefined,
  edits: readonly SealedEdit[],
  { builder, fetch }: { readonly builder: SealedListBuilder; readonly fetch: FetchChunk },
): Promise<void> {
  const pending = new PendingEdits(edits, builder);
  if (root !== undefined) {
    const { chunk, expected } = await fetchRoot(root, fetch);
    await new Editor(pending, builder, fetch).takeMembers(chunk, expected.level, undefined);
  }
  pending.addBefore(undefined);
}

/** Edits that are still to be made. */
class PendingEdits {
  readonly #edits: readonly SealedEdit[];
  readonly #builder: SealedListBuilder;
  #at = 0;

  constructor(edits: readonly SealedEdit[], builder: SealedListBuilder) {
    this.#edits = edits;
    this.#builder = builder;
  }

  /** Whether one concerns what comes before a path; undefined: whether there is any. */
  hasBefore(end: Uint8Array | undefined): boolean {
    const next = this.#edits[this.#at];
    if (next === undefined) return false;
    return end === undefined || compareSealedPaths(next.path, end) < 0;
  }

  /** Adds the new objects before a path; undefined: all that are left. */
  addBefore(end: Uint8Array | undefined): void {
    while (this.hasBefore(end)) this.#addNext();
  }

  /** @returns whether the object of this path was replaced or removed */
  replaces(path: Uint8Array): boolean {
    const next = this.#edits[this.#at];
    if (next === undefined || compareSealedPaths(next.path, path) !== 0) return false;
    this.#addNext();
    return true;
  }

  #addNext(): void {
    const object = this.#edits[this.#at++]?.object;
    if (object !== undefined) this.#builder.add(object);
  }
}

class Editor {
  readonly #edits: PendingEdits;
  readonly #builder: SealedListBuilder;
  readonly #fetch: FetchChunk;

  constructor(edits: PendingEdits, builder: SealedListBuilder, fetch: FetchChunk) {
    this.#edits = edits;
    this.#builder = builder;
    this.#fetch = fetch;
  }

  /** @param end - where the next chunk of its level begins; undefined: it is the last */
  async takeMembers(chunk: Chunk, level: number, end: Uint8Array | undefined): Promise<void> {
    if ('objects' in chunk) {
      for (const object of chunk.objects) {
        this.#edits.addBefore(object.path);
        if (!this.#edits.replaces(object.path)) this.#builder.add(object);
      }
      // New objects behind the last one belong here, unless nothing ends here.
      if (end !== undefined) this.#edits.addBefore(end);
      return;
    }
    for (const [i, ref] of chunk.children.entries()) {
      const next = chunk.children[i + 1]?.first ?? end;
      await this.#take({ ref, level: level - 1 }, next);
    }
  }

  async #take(expected: ExpectedChunk, end: Uint8Array | undefined): Promise<void> {
    const { ref, level } = expected;
    // The last chunk of a list may end without a cut.
    const isWhole = end !== undefined && !this.#edits.hasBefore(end);
    if (isWhole && this.#builder.isAtCut(level)) this.#builder.addChunk(ref, level);
    else await this.takeMembers(await fetchChunk(expected, this.#fetch), level, end);
  }
}
