/** The attributes of a restored folder that could not be set, for the next run to set. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { pathKey } from '../../bytes/paths.ts';
import { FileError } from '../../errors.ts';
import { errnoOf } from '../../platform.ts';
import { isRegularFile } from '../entry.ts';
import type { LocalEntry } from '../local/local-entry.ts';
import type { Attributes, Store } from '../store.ts';
import { assertSafePath } from '../safe-path.ts';

/** A file system that refuses an attribute twice in this way refuses it every time. */
const REFUSED_FOR_GOOD = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL']);

/** The members of {@link Attributes}. */
const NUMBERS = ['mode', 'mtimeSec', 'mtimeNsec', 'uid', 'gid'] as const;

/** One object whose attributes could not be set. */
interface Owed {
  readonly attributes: Attributes;
  /** Identifies the object: inode, and of a file its length and time. */
  readonly identity: string;
}

/**
 * Attributes that the system refused to set on restored objects. A later restore could not tell such
 * an object from one that somebody has changed, so the attributes are remembered and set first.
 */
export class OwedAttributes {
  readonly #file: string;
  /** By the key of the path. */
  readonly #owed = new Map<string, Owed>();

  /** @param file - where they are remembered between runs; need not exist */
  constructor(file: string) {
    this.#file = file;
    for (const [key, owed] of readOwed(file)) this.#owed.set(key, owed);
  }

  get isEmpty(): boolean {
    return this.#owed.size === 0;
  }

  /** An attempt to set attributes of an object failed. */
  add(entry: LocalEntry, attributes: Attributes): void {
    const key = pathKey(entry.path);
    const merged = { ...this.#owed.get(key)?.attributes, ...attributes };
    this.#owed.set(key, { attributes: merged, identity: identityOf(entry) });
  }

  /**
   * Sets what earlier runs could not. An object that was changed or replaced meanwhile is left alone.
   *
   * @returns the failures of those that still cannot be set
   */
  async settle(
    store: Pick<Store<LocalEntry>, 'lookup' | 'setAttributes'>,
  ): Promise<readonly FileError[]> {
    const failures: FileError[] = [];
    const owed = [...this.#owed];
    this.#owed.clear();
    for (const [key, { attributes, identity }] of owed) {
      try {
        const entry = await store.lookup(Buffer.from(key, 'latin1'));
        if (entry === undefined || identityOf(entry) !== identity) continue;
        await store.setAttributes(entry, attributes);
      } catch (error) {
        if (!(error instanceof FileError)) throw error;
        failures.push(error);
        if (REFUSED_FOR_GOOD.has(String(error.facts['errno']))) continue;
        this.#owed.set(key, { attributes, identity });
      }
    }
    return failures;
  }

  /** Writes them down for the next run. Never throws: the user was told of each. */
  save(): void {
    try {
      if (this.isEmpty) rmSync(this.#file, { force: true });
      else writeFileSync(this.#file, JSON.stringify([...this.#owed]), { mode: 0o600 });
    } catch {
      // The disk is full, or fails: --perms and --overwrite still set them.
    }
  }
}

function identityOf(entry: LocalEntry): string {
  const { ino, size, mtimeSec, mtimeNsec } = entry;
  return isRegularFile(entry) ? [ino, size, mtimeSec, mtimeNsec].join(' ') : String(ino);
}

/** What an earlier run wrote down; whatever cannot be read counts as nothing. */
function readOwed(file: string): [string, Owed][] {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(value) ? value.flatMap(owedOf) : [];
  } catch (error) {
    const isUnreadable = error instanceof SyntaxError || error instanceof FileError;
    if (isUnreadable || errnoOf(error) !== '') return [];
    throw error;
  }
}

/** @throws {FileError} `name-unsafe` */
function owedOf(item: unknown): [string, Owed][] {
  if (!Array.isArray(item)) return [];
  const [key, owed] = item as unknown[];
  if (typeof key !== 'string' || !isRecord(owed)) return [];
  const { identity, attributes } = owed;
  if (typeof identity !== 'string' || !isRecord(attributes)) return [];
  assertSafePath(Buffer.from(key, 'latin1'));
  const members = NUMBERS.filter((name) => Number.isSafeInteger(attributes[name]));
  const numbers = Object.fromEntries(members.map((name) => [name, attributes[name]]));
  return [[key, { attributes: numbers, identity }]];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
