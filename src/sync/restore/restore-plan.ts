/** Decides for every object of a copy whether and where it is restored. */
import { setImmediate } from 'node:timers/promises';
import { FileError, UsageError } from '../../errors.ts';
import {
  isDevice,
  isDirectory,
  isRegularFile,
  isSymlink,
  S_IFMT,
  type Entry,
} from '../../tree/entry.ts';
import { showPath } from '../../tree/file-failure.ts';
import { isOneObject, type LocalEntry } from '../../tree/local/local-entry.ts';
import type { LocalStore } from '../../tree/target/local-store.ts';
import { targetNames, type NameRules } from '../../tree/target/target-names.ts';
import { UNFINISHED_FOLDER } from '../../tree/target/unfinished-files.ts';
import type { DecryptedView } from '../../view/decrypt/decrypted-view.ts';
import type { PlainEntry } from '../../view/plain-entry.ts';
import type { Planned } from '../../view/restoring-store.ts';
import { isAtOrBelow, joinPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';
import type { RestoreLedger } from './restore-ledger.ts';
import type { Overwrite, RestoreSettings } from './restore-settings.ts';
import type { Selection } from '../push/source/selection.ts';

/** Directories planned between two turns of the event loop. */
const DIRECTORIES_PER_TURN = 64;
/** Names in the root of a target that are reserved for ecsync. */
const OWN_NAMES = new Set(['.ecsync', UNFINISHED_FOLDER]);

/** The plan of a restore. */
export interface RestorePlan {
  /** By the key of the cipher path. Objects that stay unchanged are not in it. */
  readonly planned: ReadonlyMap<string, Planned>;
  /** Selected plaintext objects. */
  readonly count: number;
  /** Plaintext and ciphertext bytes of all selected files. */
  readonly plainBytes: number;
  readonly cipherBytes: number;
  /** Parts of the target are on other file systems than its root. */
  readonly spansDisks: boolean;
}

/** The input of a plan. */
export interface PlanJob<C extends Entry> {
  readonly view: Pick<DecryptedView<C>, 'root' | 'children'>;
  readonly selection: Selection;
  readonly target: LocalStore;
  /** Key of the folder whose content goes into the target; empty: the root of the copy. */
  readonly base: string;
  /** The vault directory, if it exists. Nothing in it is ever touched. */
  readonly vaultDir: LocalEntry | undefined;
  readonly overwrite: Overwrite | undefined;
  /** Which devices and special files are made. */
  readonly makes: Pick<RestoreSettings, 'devices' | 'specials' | 'withoutDevices'>;
  readonly names: NameRules;
  readonly ledger: RestoreLedger;
  readonly signal: AbortSignal;
  readonly onCount: (objects: number) => void;
}

/**
 * Goes through a copy and decides for every object whether and where it is restored. Writes
 * nothing.
 *
 * @throws {UsageError} `path-missing` — a requested path is not in the copy
 * @throws {FileError} `write-failed` — the target cannot be examined
 */
export function planRestore<C extends Entry>(job: PlanJob<C>): Promise<RestorePlan> {
  return new Planner(job).run();
}

/** A folder that is still to be visited. */
interface Pending<C extends Entry> {
  readonly entry: PlainEntry<C>;
  readonly targetPath: Uint8Array;
  /** The folder exists in the target. */
  readonly exists: boolean;
}

class Planner<C extends Entry> {
  readonly #job: PlanJob<C>;
  readonly #planned = new Map<string, Planned>();
  /** Requested paths that were not found yet, as keys. */
  readonly #missing: Set<string>;
  /** The names of each hard-linked object. */
  readonly #links = new Map<number, PlainEntry<C>[]>();
  #count = 0;
  #plainBytes = 0;
  #cipherBytes = 0;
  #rootDisk: number | undefined;
  #spansDisks = false;

  constructor(job: PlanJob<C>) {
    this.#job = job;
    this.#missing = new Set(job.selection.within);
  }

  async run(): Promise<RestorePlan> {
    const { view, target, signal, onCount } = this.#job;
    const root = await view.root();
    const existing = await target.lookup(ROOT_PATH);
    this.#rootDisk = existing?.dev;
    if (this.#job.selection.within.length === 0) this.#plan(root, ROOT_PATH);
    const pending: Pending<C>[] = [
      { entry: root, targetPath: ROOT_PATH, exists: existing !== undefined },
    ];
    for (let done = 0; ; done++) {
      const folder = pending.pop();
      if (folder === undefined) break;
      if (done % DIRECTORIES_PER_TURN === 0) await setImmediate();
      signal.throwIfAborted();
      pending.push(...(await this.#lookInto(folder)));
      onCount(this.#count);
    }
    this.#refuseMissing();
    this.#joinLinks();
    return {
      planned: this.#planned,
      count: this.#count,
      plainBytes: this.#plainBytes,
      cipherBytes: this.#cipherBytes,
      spansDisks: this.#spansDisks,
    };
  }

  async #lookInto(folder: Pending<C>): Promise<Pending<C>[]> {
    const { view, selection, names, ledger } = this.#job;
    const children = await view.children(folder.entry);
    // All names take part, restored or not, so that later restores choose the same target names.
    const plainNames = children.map(({ path }) => splitPath(path).name);
    const targets = targetNames(plainNames, names);
    const folders: Pending<C>[] = [];
    for (const [i, entry] of children.entries()) {
      if (this.#isAboveBase(entry)) {
        this.#missing.delete(pathKey(entry.path));
        folders.push({ entry, targetPath: ROOT_PATH, exists: folder.exists });
        continue;
      }
      if (selection.verdict(entry.path, isDirectory(entry)) === 'exclude') continue;
      const name = targets[i] ?? splitPath(entry.path).name;
      const targetPath = joinPath(folder.targetPath, name);
      if (this.#isOwn(entry, targetPath)) continue;
      if (name !== plainNames[i]) ledger.renamedTo(entry.path, targetPath);
      this.#missing.delete(pathKey(entry.path));
      const existing = folder.exists ? await this.#examine(targetPath) : undefined;
      const next = this.#decide(entry, targetPath, existing);
      if (next !== undefined) folders.push(next);
    }
    return folders;
  }

  /** Whether a folder is the one whose content goes into the target, or contains it. */
  #isAboveBase(entry: PlainEntry<C>): boolean {
    const { base } = this.#job;
    return isDirectory(entry) && isAtOrBelow(base, pathKey(entry.path));
  }

  async #examine(targetPath: Uint8Array): Promise<LocalEntry | undefined> {
    const existing = await this.#job.target.lookup(targetPath);
    if (existing !== undefined && existing.dev !== this.#rootDisk) this.#spansDisks = true;
    return existing;
  }

  /** Plans one object. Returns the pending folder if the object is a folder to visit. */
  #decide(
    entry: PlainEntry<C>,
    targetPath: Uint8Array,
    existing: LocalEntry | undefined,
  ): Pending<C> | undefined {
    const { ledger, overwrite, vaultDir } = this.#job;
    if (existing !== undefined && vaultDir !== undefined && isOneObject(existing, vaultDir)) {
      return undefined;
    }
    const isWanted = this.#isWanted(entry);
    if (isWanted) this.#count++;
    if (this.#isLeftOut(entry)) return undefined;
    const mayReplace = overwrite === 'changed' || overwrite === 'always';
    const isOtherSort = existing !== undefined && isDirectory(existing) !== isDirectory(entry);
    if (isOtherSort && !mayReplace) {
      ledger.problem(inTheWay(entry));
      return undefined;
    }
    if (isDirectory(entry)) {
      const exists = existing !== undefined && isDirectory(existing);
      // A folder on the way to a selected object is made if it is missing, and otherwise left
      // unchanged.
      if (isWanted || !exists) this.#plan(entry, targetPath);
      return { entry, targetPath, exists };
    }
    if (isRegularFile(entry)) {
      this.#plainBytes += entry.size;
      this.#cipherBytes += entry.cipher.size;
    }
    if (existing !== undefined && !isOtherSort && !this.#mayStore(entry, existing)) {
      ledger.kept(entry.path, overwrite !== undefined);
      return undefined;
    }
    this.#plan(entry, targetPath);
    return undefined;
  }

  /**
   * Whether a device, pipe or socket is left out. A server can turn any file into one, so each is
   * reported.
   */
  #isLeftOut(entry: PlainEntry<C>): boolean {
    if (isDirectory(entry) || isRegularFile(entry) || isSymlink(entry)) return false;
    const { ledger, makes } = this.#job;
    const { devices, specials, withoutDevices = false } = makes;
    if (isDevice(entry)) {
      if (!devices) ledger.leftOut(entry.path, 'a device', withoutDevices);
      return !devices;
    }
    if (!specials) ledger.leftOut(entry.path, 'a pipe or socket', true);
    return !specials;
  }

  /** Whether the existing object is the same, or may be replaced. */
  #mayStore(entry: PlainEntry<C>, existing: LocalEntry): boolean {
    if (isUnchanged(entry, existing)) return true;
    switch (this.#job.overwrite) {
      case 'changed':
      case 'always':
        return true;
      case 'older':
        return isOlder(existing, entry);
      case 'never':
      case undefined:
        return false;
    }
  }

  /** Whether an object is selected itself, and not only on the way to a selected one. */
  #isWanted({ path }: PlainEntry<C>): boolean {
    const { within } = this.#job.selection;
    const key = pathKey(path);
    return within.length === 0 || within.some((wanted) => isAtOrBelow(key, wanted));
  }

  #isOwn({ path }: PlainEntry<C>, targetPath: Uint8Array): boolean {
    const name = pathKey(targetPath);
    if (name.includes('/') || !OWN_NAMES.has(name.toLowerCase())) return false;
    this.#job.ledger.reserved(path, name.toLowerCase() === UNFINISHED_FOLDER);
    this.#missing.delete(pathKey(path));
    return true;
  }

  #plan(entry: PlainEntry<C>, targetPath: Uint8Array): void {
    const { path: plainPath, target, cipher } = entry;
    const isLink = isSymlink(entry) && target !== undefined && cipher.target !== undefined;
    this.#planned.set(pathKey(cipher.path), {
      plainPath,
      targetPath,
      ...(isLink && { link: { target, cipherTarget: cipher.target } }),
    });
    if (cipher.linkGroup === undefined || !isRegularFile(entry)) return;
    const names = this.#links.get(cipher.linkGroup);
    if (names === undefined) this.#links.set(cipher.linkGroup, [entry]);
    else names.push(entry);
  }

  /** All names of one object have the identity of the bytewise smallest plaintext path. */
  #joinLinks(): void {
    for (const names of this.#links.values()) {
      const least = names.reduce((a, b) => (Buffer.compare(b.path, a.path) < 0 ? b : a));
      const identityPlace = { plainPath: least.path, cipherPath: least.cipher.path };
      for (const { cipher } of names) {
        const planned = this.#planned.get(pathKey(cipher.path));
        if (planned !== undefined) {
          this.#planned.set(pathKey(cipher.path), { ...planned, identityPlace });
        }
      }
    }
  }

  #refuseMissing(): void {
    const [key] = this.#missing;
    if (key === undefined) return;
    const shown = showPath(Buffer.from(key, 'latin1'));
    throw new UsageError('path-missing', `${shown} is not in the copy, or is left out`, {
      hint: 'Paths are those of the files before they were encrypted. They start at the current folder inside the vault; /PATH starts at its top. See what is there: ecsync ls /',
      facts: { path: shown },
    });
  }
}

/** rsync's quick check: equal size and whole second. */
function isUnchanged(entry: Entry, existing: LocalEntry): boolean {
  if ((entry.mode & S_IFMT) !== (existing.mode & S_IFMT)) return false;
  if (isRegularFile(entry)) {
    return entry.size === existing.size && entry.mtimeSec === existing.mtimeSec;
  }
  if (isSymlink(entry)) {
    const { target } = existing;
    return (
      entry.target !== undefined &&
      target !== undefined &&
      Buffer.compare(entry.target, target) === 0
    );
  }
  return entry.rdev?.major === existing.rdev?.major && entry.rdev?.minor === existing.rdev?.minor;
}

function isOlder(a: Entry, b: Entry): boolean {
  return a.mtimeSec < b.mtimeSec || (a.mtimeSec === b.mtimeSec && a.mtimeNsec < b.mtimeNsec);
}

function inTheWay(entry: PlainEntry): FileError {
  const shown = showPath(entry.path);
  const message = isDirectory(entry)
    ? `${shown} is a folder in the copy, but here something else has this name`
    : `${shown} is no folder in the copy, but here a folder has this name`;
  return new FileError('in-the-way', message, {
    hint: 'Move it away, or restore into another folder.',
    facts: { path: shown },
  });
}
