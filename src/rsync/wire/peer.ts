/** The other end of a conversation, as a pair of streams. */
import type { Readable, Writable } from 'node:stream';

/** The other end of a conversation. */
export interface Peer {
  /** Bytes from the peer. */
  readonly input: Readable;
  /** Bytes to the peer. */
  readonly output: Writable;
  /**
   * The protocol, if it was agreed on before the conversation began, as with daemons. Then no
   * versions are exchanged.
   */
  readonly greeted?: { readonly protocol: number };
  /** Called with the peer's warnings and errors if it has no standard error of its own. */
  addErrorText?(text: string): void;
}
