/** The births of a source by path, as a view of it looks them up. */
import { pathKey } from '../../../bytes/paths.ts';
import { BugError } from '../../../errors.ts';
import type { Birth } from '../../../gocryptfs/content/identity.ts';
import type { BirthRecord } from './births.ts';

/** The births of files that have another one than their present path. */
export class Births {
  readonly #byPath: ReadonlyMap<string, Birth>;

  constructor(records: readonly BirthRecord[] = []) {
    this.#byPath = new Map(records.map(({ path, birth }) => [pathKey(path), birth]));
  }

  of(plainPath: Uint8Array): Birth | undefined {
    return this.#byPath.size === 0 ? undefined : this.#byPath.get(pathKey(plainPath));
  }
}

/**
 * The births of a source that is still to be walked. They cannot be known before: which files have
 * moved follows from a snapshot, and a snapshot is a walk through the view that encrypts them. The
 * walk itself needs no births, because names and sizes do not depend on them. Only content and
 * extended attributes do, and these are read after {@link settle}.
 */
export class PendingBirths {
  #births: Births | undefined;

  /** Call once, when the source has been walked. */
  settle(births: Births): void {
    if (this.#births !== undefined) throw new BugError('invariant', 'births are settled twice');
    this.#births = births;
  }

  /** @throws {BugError} `invariant` — before {@link settle} */
  of(plainPath: Uint8Array): Birth | undefined {
    if (this.#births === undefined) {
      throw new BugError('invariant', 'a birth is asked for before the source has been walked');
    }
    return this.#births.of(plainPath);
  }
}
