import type { Entry } from '../tree/entry.ts';

/** A file that exists only in the encrypted view: the conf, a directory's IV, a full name. */
export type VirtualKind = 'conf' | 'diriv' | 'name';

/** One object of the encrypted view. `P` is the plaintext tree's own kind of entry. */
export interface CipherEntry<P extends Entry = Entry> extends Entry {
  /** What this is the encryption of. Absent exactly for virtual files. */
  readonly plain?: P;
  readonly virtual?: VirtualKind;
  /** Content of a virtual file. */
  readonly bytes?: Uint8Array;
  /** Encrypted; rewritten when a hard-link group gets a common identity. */
  target?: Uint8Array;
  /**
   * Plaintext path whose identity this object uses instead of its own: the smallest of its
   * hard-link group. Set by `groupHardLinks`.
   */
  identityPath?: Uint8Array;
}
