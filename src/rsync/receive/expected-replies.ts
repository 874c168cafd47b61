/** The files that were asked for and have not arrived yet. */
import type { Entry } from '../../tree/entry.ts';
import type { FlistEntry } from '../flist/decode.ts';
import type { SumHead } from '../wire/sum-head.ts';

/** A file that was asked for. */
export interface Expected<E extends Entry> {
  readonly entry: FlistEntry;
  readonly head: SumHead;
  /** What the block sums were made of, chosen by us: a peer's word about it counts for nothing. */
  readonly basis: E | undefined;
  /** Whether the basis is a file of the earlier copy. */
  readonly fromEarlier: boolean;
  /** What the file takes the place of. */
  readonly replaced: E | undefined;
}

/** Which answers are due: the link between the half that asks and the half that stores. */
export class ExpectedReplies<E extends Entry> {
  readonly #due = new Map<number, Expected<E>>();
  /** Positions that were asked for and are not stored: on their way, declined, or failed. */
  readonly #missing = new Set<number>();

  expect(ndx: number, expected: Expected<E>): void {
    this.#due.set(ndx, expected);
    this.#missing.add(ndx);
  }

  isDue(ndx: number): boolean {
    return this.#due.has(ndx);
  }

  /** The request that a reply answers, which is then no longer due; undefined when there is none. */
  take(ndx: number): Expected<E> | undefined {
    const expected = this.#due.get(ndx);
    this.#due.delete(ndx);
    return expected;
  }

  /** The sender is not going to send this one, which it returns if it was due. */
  decline(ndx: number): Expected<E> | undefined {
    return this.take(ndx);
  }

  /** The phase is over: what was neither answered nor declined, and will not come any more. */
  giveUp(): readonly Expected<E>[] {
    const unanswered = [...this.#due.values()];
    this.#due.clear();
    return unanswered;
  }

  stored(ndx: number): void {
    this.#missing.delete(ndx);
  }

  /** Whether a position was asked for and did not arrive. */
  isMissing(ndx: number): boolean {
    return this.#missing.has(ndx);
  }
}
