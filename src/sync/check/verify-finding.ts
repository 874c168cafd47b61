/** Turns a server's item records into findings of `verify`. */
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  isSymlink,
  type Entry,
} from '../../tree/entry.ts';
import { parentKey, pathKey } from '../../bytes/paths.ts';
import {
  changedAttributes,
  isCreation,
  isHardLink,
  isNew,
  isTransfer,
} from '../push/job/itemize.ts';
import { type PushJob, shownPath } from '../push/job/push-job.ts';
import type { PushEntry } from '../push/source/push-entry.ts';
import type { VerifyFinding } from './verify-summary.ts';

/** What the server reported about an entry. */
export interface Difference {
  readonly entry: PushEntry;
  readonly iflags: number;
}

/** An object that only the copy has. */
export interface Extra {
  /** As stored. */
  readonly cipherPath: Uint8Array;
  readonly isDirectory: boolean;
}

const STRUCTURES = {
  diriv: 'folder-key',
  name: 'long-name',
  conf: 'conf',
  mirror: 'mirror',
} as const;

/**
 * Turns a server's reports into findings: first in the order of the list, then the extra objects.
 */
export class FindingMaker {
  readonly #job: PushJob;
  readonly #hasItemRecords: boolean;
  readonly #suspects: ReadonlySet<PushEntry>;
  readonly #isUnfinished: boolean;
  readonly #holders: ReadonlySet<string>;
  readonly #isConfKnown: boolean;
  #byPath: ReadonlyMap<string, PushEntry> | undefined;

  /**
   * @param facts.hasItemRecords - true from protocol 29 on; older servers only send requests
   * @param facts.suspects - files that were edited here since the last push although size and whole
   *   second are unchanged
   * @param facts.extras - objects that only the copy has
   * @param facts.isUnfinished - no push has completed yet
   * @param facts.isConfKnown - the vault's conf was pushed
   */
  constructor(
    job: PushJob,
    facts: {
      readonly hasItemRecords: boolean;
      readonly suspects: ReadonlySet<PushEntry>;
      readonly isUnfinished: boolean;
      readonly extras: readonly Extra[];
      readonly isConfKnown: boolean;
    },
  ) {
    this.#isUnfinished = facts.isUnfinished;
    this.#holders = new Set(facts.extras.map(({ cipherPath }) => parentKey(pathKey(cipherPath))));
    this.#isConfKnown = facts.isConfKnown;
    this.#job = job;
    this.#hasItemRecords = facts.hasItemRecords;
    this.#suspects = facts.suspects;
  }

  /** A missing folder hides its missing key file, and a missing object its `.name` file. */
  ofDifferences(differences: readonly Difference[]): VerifyFinding[] {
    const missing = new Set(
      differences
        .filter(({ iflags }) => this.#hasItemRecords && isNew(iflags))
        .map(({ entry }) => pathKey(entry.path)),
    );
    return differences
      .filter((difference) => !this.#isOfNoMeaning(difference))
      .filter(({ entry }) => {
        const owner = ownerKey(entry);
        return owner === undefined || !missing.has(pathKey(entry.path)) || !missing.has(owner);
      })
      .map((difference) => this.#ofDifference(difference));
  }

  ofExtras(extras: readonly Extra[]): VerifyFinding[] {
    const paths = new Set(extras.map(({ cipherPath }) => pathKey(cipherPath)));
    return extras.flatMap<VerifyFinding>(({ cipherPath, isDirectory: isFolder }) => {
      const key = pathKey(cipherPath);
      const shown = shownPath(this.#job, cipherPath);
      const verdict = this.#verdictOnExtra(shown.path);
      const finding = { ...NOTHING_ELSE, kind: 'extra' as const, verdict };
      if (!shown.virtual) {
        const path = isFolder ? withSlash(shown.path) : shown.path;
        return [{ ...finding, object: isFolder ? 'folder' : 'unknown', path, plain: shown.plain }];
      }
      const isNameFile = key.endsWith('.name');
      const owner = isNameFile ? key.slice(0, -'.name'.length) : parentKey(key);
      if (paths.has(owner)) return [];
      const structure = isNameFile ? 'long-name' : 'folder-key';
      return [{ ...finding, object: 'structure', structure, path: cipherPath, plain: false }];
    });
  }

  /**
   * Ignores permissions of diriv and `.name` files. A new folder gets its diriv by a hard link, and
   * a server that is not root makes the diriv writable when it removes the other link.
   */
  #isOfNoMeaning({ entry, iflags }: Difference): boolean {
    if (entry.virtual !== 'diriv' && entry.virtual !== 'name') return false;
    if (this.#kindOf(iflags) !== 'attributes') return false;
    return changedAttributes(iflags).every((name) => name === 'permissions');
  }

  #ofDifference({ entry, iflags }: Difference): VerifyFinding {
    const kind = this.#kindOf(iflags);
    const attributes = kind === 'missing' ? [] : changedAttributes(iflags);
    const isPending = this.#isPending(entry, kind);
    const isEdit = kind === 'changed' && attributes.includes('time') && !this.#isRemembered();
    const isSuspect = this.#suspects.has(entry);
    return {
      ...this.#place(entry),
      kind,
      attributes,
      changedHere: entry.plain !== undefined && (isPending || isEdit || isSuspect),
      verdict: isPending ? 'pending' : this.#holdsExtra(entry, kind, attributes),
      maybeMissing: !this.#hasItemRecords,
    };
  }

  /** A folder's time changes when something is put into it. Only that object is reported. */
  #holdsExtra(
    { path }: PushEntry,
    kind: VerifyFinding['kind'],
    attributes: readonly string[],
  ): VerifyFinding['verdict'] {
    const isOnlyTime = kind === 'attributes' && attributes.every((name) => name === 'time');
    const isKept = !this.#job.settings.delete;
    return isOnlyTime && isKept && this.#holders.has(pathKey(path)) ? 'extra' : 'damage';
  }

  #isRemembered(): boolean {
    return this.#job.moves.since !== undefined;
  }

  /** Whether the next push will send this, and the copy cannot have it yet. */
  #isPending(entry: PushEntry, kind: VerifyFinding['kind']): boolean {
    const { since } = this.#job.moves;
    if (entry.virtual === 'conf') return kind === 'changed' && !this.#isConfKnown;
    if (this.#suspects.has(entry)) return true;
    if (since === undefined) return this.#isUnfinished && kind === 'missing';
    if (entry === this.#job.snapshot.entries[0]) {
      return kind === 'attributes' && since.altered.size + since.gone.size > 0;
    }
    const owner = entry.virtual && kind === 'attributes' ? this.#ownerOf(entry) : undefined;
    return since.altered.has(entry) || (owner !== undefined && this.#isPending(owner, kind));
  }

  #ownerOf(entry: PushEntry): PushEntry | undefined {
    return this.#entryAt(ownerKey(entry) ?? '.');
  }

  /** Objects deleted here since the last push are pending deletion. */
  #verdictOnExtra(plainPath: Uint8Array): VerifyFinding['verdict'] {
    const { settings, moves } = this.#job;
    if (!settings.delete) return 'extra';
    return moves.since?.gone.has(pathKey(plainPath)) === true ? 'pending' : 'damage';
  }

  #kindOf(iflags: number): VerifyFinding['kind'] {
    if (!this.#hasItemRecords) return 'changed';
    if (isNew(iflags)) return 'missing';
    if (isTransfer(iflags)) return 'changed';
    return isCreation(iflags) && !isHardLink(iflags) ? 'changed' : 'attributes';
  }

  #place(entry: PushEntry): Pick<VerifyFinding, 'object' | 'structure' | 'path' | 'plain'> {
    const { plain, virtual } = entry;
    if (plain !== undefined) {
      const path = isDirectory(entry) ? withSlash(plain.path) : plain.path;
      return { object: objectOf(entry), path, plain: true };
    }
    const owner = virtual === undefined ? undefined : this.#ownerOf(entry);
    return {
      object: 'structure',
      ...(virtual && { structure: STRUCTURES[virtual] }),
      path: owner?.plain?.path ?? entry.path,
      plain: owner?.plain !== undefined,
    };
  }

  #entryAt(key: string): PushEntry | undefined {
    this.#byPath ??= new Map(
      this.#job.snapshot.entries.map((entry) => [pathKey(entry.path), entry]),
    );
    return this.#byPath.get(key);
  }
}

const NOTHING_ELSE = { attributes: [], changedHere: false, maybeMissing: false } as const;

/** The object that a virtual file belongs to: a folder, or an object with a long name. */
function ownerKey({ virtual, path }: PushEntry): string | undefined {
  if (virtual === 'diriv') return parentKey(pathKey(path));
  return virtual === 'name' ? pathKey(path).slice(0, -'.name'.length) : undefined;
}

function objectOf(entry: Entry): VerifyFinding['object'] {
  if (isDirectory(entry)) return 'folder';
  if (isRegularFile(entry)) return 'file';
  if (isSymlink(entry)) return 'link';
  if (isDevice(entry)) return 'device';
  return isSpecial(entry) ? 'special' : 'unknown';
}

function withSlash(path: Uint8Array): Uint8Array {
  return Buffer.concat([path, Buffer.from('/')]);
}
