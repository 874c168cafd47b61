/** Who is at the other end of a conversation. */
import type { Readable, Writable } from 'node:stream';

/** Who is at the other end of a conversation. */
export interface Peer {
  /** What the peer says. */
  readonly input: Readable;
  /** What is said to it. */
  readonly output: Writable;
  /**
   * The protocol, when it was agreed on before the conversation begins, as with daemons. Then no
   * versions are exchanged.
   */
  readonly greeted?: { readonly protocol: number };
  /** Told of the peer's warnings and errors, where it has no other place to say them. */
  hearError?(text: string): void;
}
