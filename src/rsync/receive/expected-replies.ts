/** The files that were requested and have not arrived yet. */
import type { Entry } from '../../tree/entry.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { SumHead } from '../wire/sum-head.ts';

/** A requested file. */
export interface Expected<E extends Entry> {
  readonly entry: FlistEntry;
  readonly head: SumHead;
  /** The basis of the block sums, as we chose it: what a peer says about it is ignored. */
  readonly basis: E | undefined;
  /** Whether the basis is in the earlier copy (`--link-dest` and similar). */
  readonly fromEarlier: boolean;
  /** The object that the file replaces. */
  readonly replaced: E | undefined;
}

/** The pending replies, shared by the half that requests files and the half that stores them. */
export class ExpectedReplies<E extends Entry> {
  readonly #pending = new Map<number, Expected<E>>();
  /** Positions that were requested and are not stored: pending, declined or failed. */
  readonly #missing = new Set<number>();

  expect(ndx: number, expected: Expected<E>): void {
    this.#pending.set(ndx, expected);
    this.#missing.add(ndx);
  }

  isExpected(ndx: number): boolean {
    return this.#pending.has(ndx);
  }

  /** Removes and returns the request that a reply answers; undefined if there is none. */
  take(ndx: number): Expected<E> | undefined {
    const expected = this.#pending.get(ndx);
    this.#pending.delete(ndx);
    return expected;
  }

  /** The sender will not send this file. Returns its request, if it was pending. */
  decline(ndx: number): Expected<E> | undefined {
    return this.take(ndx);
  }

  /** At the end of a phase: removes and returns the requests without an answer. */
  takeUnanswered(): readonly Expected<E>[] {
    const unanswered = [...this.#pending.values()];
    this.#pending.clear();
    return unanswered;
  }

  stored(ndx: number): void {
    this.#missing.delete(ndx);
  }

  /** Whether a position was requested and is not stored. */
  isMissing(ndx: number): boolean {
    return this.#missing.has(ndx);
  }
}
