/** What a verification finds, and what it comes to. */

/** One difference between a copy and what its vault says. */
export interface VerifyFinding {
  /**
   * `changed`: other content, another target, another device. `missing`: not there. `extra`: only
   * there. `attributes`: nothing but mode, time, owner, group, or which names are one file.
   */
  readonly kind: 'changed' | 'missing' | 'extra' | 'attributes';
  readonly object: 'file' | 'folder' | 'link' | 'device' | 'special' | 'structure' | 'unknown';
  /** For what no plaintext object corresponds to: what it is to the object at `path`. */
  readonly structure?: 'folder-key' | 'long-name' | 'conf' | 'mirror';
  /** Plaintext path (bytes); of what `structure` belongs to, `.` for the vault as a whole. */
  readonly path: Uint8Array;
  /** False when the name could not be told in plaintext and `path` is as it is stored. */
  readonly plain: boolean;
  /** Which attributes differ, beside the content or alone. */
  readonly attributes: readonly string[];
  /** The object was changed here after it was last pushed, as far as is remembered, or its time tells. */
  readonly changedHere: boolean;
  /**
   * `damage`: the copy is not what was pushed. `pending`: it is, as far as is remembered, and the change
   * here waits for the next push. `extra`: only there, and no deletion is in force.
   */
  readonly verdict: 'damage' | 'pending' | 'extra';
  /** True when the server is too old to tell a changed file from a missing one. */
  readonly maybeMissing: boolean;
}

/** What a verification found. */
export interface VerifySummary {
  /** 0, 26 with damage that remains, 23 or 24 when the source could not be read completely. */
  readonly exitCode: 0 | 23 | 24 | 26;
  /** Plaintext objects in the view (files, folders, links, specials). */
  readonly filesTotal: number;
  /** Plaintext bytes of all files. */
  readonly totalBytes: number;
  readonly changed: number;
  readonly missing: number;
  readonly extra: number;
  readonly attributes: number;
  /** How many of the extra ones are no failure. */
  readonly onlyThere: number;
  /** How many of those that are left wait for the next push. */
  readonly pending: number;
  /** How many of them are right now. */
  readonly repaired: number;
  /** Whether the server could be asked for what it has beyond the vault. */
  readonly extrasAsked: boolean;
  /** Whether it is known here what was pushed; if not, renamed files count as changed. */
  readonly isRemembered: boolean;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly runs: number;
  readonly elapsedMs: number;
}
