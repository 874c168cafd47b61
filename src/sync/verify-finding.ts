import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSpecial,
  isSymlink,
  type Entry,
} from '../tree/entry.ts';
import { pathKey } from '../view/path-bytes.ts';
import { changedAttributes, isCreation, isHardLink, isNew, isTransfer } from './itemize.ts';
import { type PushJob, shownPath } from './push-job.ts';
import type { PushEntry } from './push-entry.ts';
import { parentKey } from './skeleton.ts';

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
  /** The object was changed here after it was last pushed, as far as its time tells. */
  readonly changedHere: boolean;
  /** True when the server is too old to tell a changed file from a missing one. */
  readonly maybeMissing: boolean;
}

/** What the server said about an entry. */
export interface Difference {
  readonly entry: PushEntry;
  readonly iflags: number;
}

/** What the server has and the vault has not. */
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

/** Turns what a server said into findings, in the order of the list, then what is extra. */
export class FindingMaker {
  readonly #job: PushJob;
  readonly #hasItemRecords: boolean;
  readonly #suspects: ReadonlySet<PushEntry>;
  #byPath: ReadonlyMap<string, PushEntry> | undefined;

  /**
   * @param facts.hasItemRecords - from protocol 29 on: before, a request is all a server says
   * @param facts.suspects - files that were edited here since the last push without a trace in size
   *   or whole second
   */
  constructor(
    job: PushJob,
    facts: { readonly hasItemRecords: boolean; readonly suspects: ReadonlySet<PushEntry> },
  ) {
    this.#job = job;
    this.#hasItemRecords = facts.hasItemRecords;
    this.#suspects = facts.suspects;
  }

  /** A missing folder is told without its key file, a missing object without the file of its name. */
  ofDifferences(differences: readonly Difference[]): VerifyFinding[] {
    const missing = new Set(
      differences
        .filter(({ iflags }) => this.#hasItemRecords && isNew(iflags))
        .map(({ entry }) => pathKey(entry.path)),
    );
    return differences
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
      const finding = { ...NOTHING_ELSE, kind: 'extra' as const };
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

  #ofDifference({ entry, iflags }: Difference): VerifyFinding {
    const kind = this.#kindOf(iflags);
    const attributes = kind === 'missing' ? [] : changedAttributes(iflags);
    const isEdit = kind === 'changed' && attributes.includes('time');
    return {
      ...this.#place(entry),
      kind,
      attributes,
      changedHere: entry.plain !== undefined && (isEdit || this.#suspects.has(entry)),
      maybeMissing: !this.#hasItemRecords,
    };
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
    const owner = virtual === undefined ? undefined : this.#entryAt(ownerKey(entry) ?? '.');
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

/** The object that a virtual file belongs to: a folder, or what has the long name. */
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
