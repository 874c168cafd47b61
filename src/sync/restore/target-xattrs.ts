/** Sets the extended attributes of objects in a target, and verifies the result. */
import type { FlistEntry } from '../../rsync/flist/decode.ts';
import { isDirectory, isRegularFile, type Xattr } from '../../tree/entry.ts';
import type { LocalEntry } from '../../tree/local/local-entry.ts';
import type { LocalStore } from '../../tree/target/local-store.ts';
import { readXattrs } from '../../transport/programs/getfattr.ts';
import type { ReadXattr } from '../../transport/programs/getfattr-output.ts';
import type { XattrFailure } from '../../transport/programs/fattr-program.ts';
import { writeXattrs, type XattrChange } from '../../transport/programs/setfattr.ts';
import { isRootPath, pathKey, ROOT_PATH, splitPath } from '../../bytes/paths.ts';
import type { Planned } from '../../view/restoring-store.ts';
import { forHeldParts, type HeldPart } from '../push/source/list-xattrs.ts';

/** An object, and all attributes that it shall have. */
export interface WantedObject {
  readonly entry: FlistEntry;
  readonly planned: Planned;
  readonly xattrs: readonly Xattr[];
}

/** How attributes are set, and who receives the results. */
export interface TargetXattrsJob {
  /** Absolute path of the target. */
  readonly folder: string;
  readonly target: LocalStore;
  readonly signal: AbortSignal;
  /** Whether an existing attribute that is not wanted is removed. */
  readonly isToRemove: (name: Uint8Array) => boolean;
  /** An attribute could not be set or removed. */
  readonly onRefused: (planned: Planned, name: Uint8Array, reason: string) => void;
  readonly onFailure: (message: string) => void;
  /** The attributes of the object were changed. */
  readonly onChanged: (object: WantedObject) => void;
}

/** The permission that the owner needs to set attributes. */
const OWNER_WRITE = 0o200;
const PERMISSION_BITS = 0o7777;
const UNKNOWN_REASON = 'the system did not keep it';

/** Attributes by their names as latin1 text. */
type ByName = ReadonlyMap<string, Buffer>;

/** An object that is to be changed. */
interface Change extends XattrChange {
  readonly local: LocalEntry;
  readonly object: WantedObject;
}

/** Sets the attributes in one target. */
export class TargetXattrs {
  readonly #job: TargetXattrsJob;

  constructor(job: TargetXattrsJob) {
    this.#job = job;
  }

  /**
   * @param objects - each folder before its content
   * @throws {FileError} `xattrs-unreadable`, `xattrs-unwritable` — the programs failed as such
   * @throws the signal's reason
   */
  async apply(objects: readonly WantedObject[]): Promise<void> {
    const byPath = new Map<string, WantedObject>();
    for (const object of objects) byPath.set(pathKey(object.planned.targetPath), object);
    const list = await this.#listed(objects);
    await forHeldParts(this.#job.folder, list, (part) => this.#applyPart(part, byPath));
  }

  /** The existing ones of the objects, and the folders that lead to them. */
  async #listed(objects: readonly WantedObject[]): Promise<readonly LocalEntry[]> {
    const { target } = this.#job;
    const listed = new Map<string, LocalEntry>();
    for (const { planned } of objects) {
      for (const path of wayTo(planned.targetPath)) {
        if (listed.has(pathKey(path))) continue;
        const entry = await target.lookup(path);
        if (entry !== undefined) listed.set(pathKey(path), entry);
      }
    }
    return [...listed.values()];
  }

  async #applyPart(part: HeldPart, byPath: ReadonlyMap<string, WantedObject>): Promise<void> {
    const before = await this.#read(part, part.entries);
    const changes: Change[] = [];
    for (const local of part.entries) {
      const object = byPath.get(pathKey(local.path));
      const way = part.accessPathOf(local);
      if (object === undefined || way === undefined) continue;
      if (!isRegularFile(local) && !isDirectory(local)) continue;
      const change = this.#changeOf(local, object, before.get(pathKey(local.path)));
      if (change.set.length + change.remove.length > 0) changes.push({ ...change, path: way });
    }
    if (changes.length === 0) return;
    const reasons = await this.#write(part, changes);
    const after = await this.#read(
      part,
      changes.map(({ local }) => local),
    );
    for (const { local, object } of changes) {
      this.#judge(object, after.get(pathKey(local.path)), reasons.get(pathKey(local.path)));
    }
  }

  #changeOf(
    local: LocalEntry,
    object: WantedObject,
    present: ByName | undefined,
  ): Omit<Change, 'path'> {
    const set = object.xattrs.filter(({ name, value }) => !has(present, name, value)).map(copied);
    const wanted = new Set(object.xattrs.map(({ name }) => pathKey(name)));
    const surplus = [...(present?.keys() ?? [])].filter((name) => !wanted.has(name));
    const remove = surplus
      .map((name) => Buffer.from(name, 'latin1'))
      .filter((name) => this.#job.isToRemove(name));
    return { local, object, set, remove };
  }

  /** @returns why the system refused, by the path of the object */
  async #write(part: HeldPart, changes: readonly Change[]): Promise<ReadonlyMap<string, string>> {
    const { folder, signal } = this.#job;
    const reasons = new Map<string, string>();
    const onFailure = ({ message, paths }: XattrFailure): void => {
      const reason = message.slice(message.lastIndexOf(': ') + 2);
      for (const way of paths) {
        const key = pathKey(part.pathOf(way).subarray(2));
        if (!reasons.has(key)) reasons.set(key, reason);
      }
    };
    const opened = await this.#openToOwner(changes);
    try {
      await writeXattrs(folder, changes, { signal, onFailure });
    } finally {
      await this.#closeAgain(opened);
    }
    return reasons;
  }

  /** Only root may set attributes of read-only objects, so they are made writable. */
  async #openToOwner(changes: readonly Change[]): Promise<readonly LocalEntry[]> {
    if (process.getuid?.() === 0) return [];
    const closed = changes.map(({ local }) => local).filter(({ mode }) => !(mode & OWNER_WRITE));
    for (const local of closed) await this.#setMode(local, local.mode | OWNER_WRITE);
    return closed;
  }

  async #closeAgain(opened: readonly LocalEntry[]): Promise<void> {
    for (const local of opened) await this.#setMode(local, local.mode);
  }

  /** A failure shows when the attributes are read back. */
  async #setMode(local: LocalEntry, mode: number): Promise<void> {
    const wanted = { mode: mode & PERMISSION_BITS };
    await this.#job.target.setAttributes(local, wanted).catch(() => undefined);
  }

  #judge(object: WantedObject, after: ByName | undefined, reason = UNKNOWN_REASON): void {
    const { onRefused, onChanged, isToRemove } = this.#job;
    const wanted = new Set(object.xattrs.map(({ name }) => pathKey(name)));
    let refused = 0;
    for (const { name, value } of object.xattrs) {
      if (has(after, name, value)) continue;
      refused++;
      onRefused(object.planned, name, reason);
    }
    for (const key of after?.keys() ?? []) {
      const name = Buffer.from(key, 'latin1');
      if (wanted.has(key) || !isToRemove(name)) continue;
      refused++;
      onRefused(object.planned, name, reason);
    }
    if (refused === 0) onChanged(object);
  }

  async #read(
    part: HeldPart,
    entries: readonly LocalEntry[],
  ): Promise<ReadonlyMap<string, ByName>> {
    const { folder, signal, onFailure } = this.#job;
    const found = new Map<string, ByName>();
    const ways = entries
      .map((entry) => part.accessPathOf(entry))
      .filter((way) => way !== undefined);
    await readXattrs(folder, ways, {
      onlyUser: false,
      signal,
      onObject: ({ path, xattrs }) => {
        const key = pathKey(part.pathOf(path).subarray(2));
        found.set(key, new Map(xattrs.map(({ name, value }) => [pathKey(name), value])));
      },
      onFailure: ({ message, isGone }) => {
        if (!isGone) onFailure(message);
      },
    });
    return found;
  }
}

/** The root, each folder on the way, and the object itself. */
function wayTo(path: Uint8Array): Uint8Array[] {
  const way: Uint8Array[] = [];
  for (let at = path; !isRootPath(at); at = splitPath(at).directory) way.push(at);
  return [ROOT_PATH, ...way.reverse()];
}

function has(present: ByName | undefined, name: Uint8Array, value: Uint8Array): boolean {
  const there = present?.get(pathKey(name));
  return there !== undefined && Buffer.compare(there, value) === 0;
}

function copied({ name, value }: Xattr): ReadXattr {
  return { name: Buffer.from(name), value: Buffer.from(value) };
}
