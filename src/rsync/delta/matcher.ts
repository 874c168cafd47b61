/** How a file becomes a delta: the interfaces of a matcher and its output. */

/** Receives the output of a matcher, in the order of the new file. */
export interface DeltaSink {
  /** Bytes that the basis does not have; the array may be reused after the call. */
  literal(data: Uint8Array): void;
  /** A whole block of the basis. */
  block(index: number, length: number): void;
}

/** Splits a file that arrives in pieces into literal data and blocks of a basis. */
export interface Matcher {
  /**
   * Takes the next piece.
   *
   * @param last - this is the last piece; it may be empty
   */
  push(data: Uint8Array, last: boolean): void;
}

/** Whole-file transfer: there is no basis, or none worth searching. */
export class LiteralMatcher implements Matcher {
  readonly #sink: DeltaSink;

  constructor(sink: DeltaSink) {
    this.#sink = sink;
  }

  push(data: Uint8Array): void {
    if (data.length > 0) this.#sink.literal(data);
  }
}
