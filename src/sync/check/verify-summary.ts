/** Findings and result of a verification. */

/** One difference between a copy and its vault. */
export interface VerifyFinding {
  /**
   * `changed`: other content, another target or another device. `missing`: only in the vault.
   * `extra`: only in the copy. `attributes`: only mode, time, owner, group or hard links differ.
   */
  readonly kind: 'changed' | 'missing' | 'extra' | 'attributes';
  readonly object: 'file' | 'folder' | 'link' | 'device' | 'special' | 'structure' | 'unknown';
  /** For files without plaintext: their role for the object at `path`. */
  readonly structure?: 'folder-key' | 'long-name' | 'conf' | 'mirror';
  /**
   * Plaintext path (bytes) of the object, or of the object that `structure` belongs to; `.` for the
   * vault as a whole.
   */
  readonly path: Uint8Array;
  /** False if the name could not be decrypted and `path` is the stored path. */
  readonly plain: boolean;
  /** Attributes that differ. */
  readonly attributes: readonly string[];
  /**
   * The object was changed here after the last push, according to the vault's memory or to its
   * time.
   */
  readonly changedHere: boolean;
  /**
   * `damage`: the copy is not what was pushed. `pending`: the copy is what was pushed, as far as is
   * remembered, and a local change waits for the next push. `extra`: only in the copy, and no
   * deletion is in force.
   */
  readonly verdict: 'damage' | 'pending' | 'extra';
  /** True if the server is too old to tell a changed file from a missing one. */
  readonly maybeMissing: boolean;
}

/** The result of a verification. */
export interface VerifySummary {
  /** 0, 26 with remaining damage, 23 or 24 if the source could not be read completely. */
  readonly exitCode: 0 | 23 | 24 | 26;
  /** Plaintext objects in the view (files, folders, links, specials). */
  readonly filesTotal: number;
  /** Plaintext bytes of all files. */
  readonly totalBytes: number;
  readonly changed: number;
  readonly missing: number;
  readonly extra: number;
  readonly attributes: number;
  /** How many of the extra objects are no failure. */
  readonly onlyThere: number;
  /** How many remaining findings are pending. */
  readonly pending: number;
  /** How many findings were repaired. */
  readonly repaired: number;
  /** Whether the server reported extra objects. */
  readonly extrasAsked: boolean;
  /** Whether the vault remembers what was pushed. If not, renamed files count as changed. */
  readonly isRemembered: boolean;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly runs: number;
  readonly elapsedMs: number;
}
