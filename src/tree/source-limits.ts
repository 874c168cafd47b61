import { closeSync, openSync, readSync, fstatSync, constants } from 'node:fs';
import { EcsyncError, FileError } from '../errors.ts';
import { onDisk } from './disk-path.ts';
import { isDirectory, isRegularFile } from './entry.ts';
import { showPath } from './file-failure.ts';
import { Filter, type FilterRule } from './filter.ts';
import { FilterRules } from './filter-syntax.ts';
import type { LocalEntry } from './local-entry.ts';

/** What is left out of a folder by more than the names in it. */
export interface SourceLimitOptions {
  /** Follow the rules in files of this name, each for its folder and what is below. */
  readonly ignoreFileName?: string;
  /** Leave out what is beside a `CACHEDIR.TAG`. */
  readonly excludeCaches?: boolean;
  /** Leave out folders of another file system. */
  readonly oneFileSystem?: boolean;
  /** Bytes of regular files. */
  readonly maxBytes?: number;
  readonly minBytes?: number;
}

const CACHE_TAG = 'CACHEDIR.TAG';
/** @see https://bford.info/cachedir/ */
const CACHE_SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';
const IGNORE_FILE_LENGTH_MAX = 1024 * 1024;
const SLASH = 0x2f;
/** A lone `!` forgets the rules of the folders above, too. */
const FORGETS = /(?:^|[\r\n])!(?:[\r\n]|$)/;

/**
 * Leaves out of one walk over a local folder what names alone cannot tell: it is told of every folder
 * before the objects in it are asked about.
 */
export class SourceLimits {
  readonly #options: SourceLimitOptions;
  /** Rules of ignore files by the Latin-1 path of their folder. */
  readonly #rules = new Map<string, { readonly filter: Filter; readonly forgets: boolean }>();
  readonly #caches = new Set<string>();
  #device: number | undefined;

  constructor(options: SourceLimitOptions) {
    this.#options = options;
  }

  /**
   * A folder was listed.
   *
   * @param names - of what is in it, one Latin-1 character a byte
   * @param fullPath - of the folder
   * @throws {FileError} `ignore-file-unusable` — its rules do not count then
   */
  enter(directory: LocalEntry, names: readonly string[], fullPath: Buffer): void {
    const { ignoreFileName, excludeCaches } = this.#options;
    this.#device ??= directory.dev;
    const has = (name: string): boolean => names.includes(Buffer.from(name).toString('latin1'));
    const folder = keyOf(directory.path);
    if (excludeCaches === true && has(CACHE_TAG)) {
      const tag = readStart(onDisk(fullPath, Buffer.from(CACHE_TAG)), CACHE_SIGNATURE.length);
      if (tag?.toString('latin1') === CACHE_SIGNATURE) this.#caches.add(folder);
    }
    if (ignoreFileName === undefined || !has(ignoreFileName)) return;
    const file = onDisk(fullPath, Buffer.from(ignoreFileName));
    const content = readStart(file, IGNORE_FILE_LENGTH_MAX + 1);
    if (content === undefined) return; // No plain file, or unreadable: that is told when it is sent.
    if (content.length > IGNORE_FILE_LENGTH_MAX) throw unusable(file, 'it is larger than 1 MiB');
    const filter = new Filter(rulesOf(file, content, folder));
    this.#rules.set(folder, { filter, forgets: FORGETS.test(content.toString('latin1')) });
  }

  /** What the ignore files say about a path: the deepest one that has a matching rule decides. */
  verdict(path: Uint8Array, isFolder: boolean): 'include' | 'exclude' | undefined {
    if (this.#rules.size === 0) return undefined;
    const key = keyOf(path);
    for (let at = key.lastIndexOf('/'); ; at = at === -1 ? -2 : key.lastIndexOf('/', at - 1)) {
      if (at === -2) return undefined;
      const folder = at === -1 ? '' : key.slice(0, at);
      const rules = this.#rules.get(folder);
      const rule = rules?.filter.firstMatch(path, isFolder);
      if (rule !== undefined) return rule.action;
      if (rules?.forgets === true) return undefined;
    }
  }

  /** Whether an object stays, as far as its attributes and its folder say. */
  admits(entry: LocalEntry): boolean {
    const { oneFileSystem, maxBytes = Infinity, minBytes = 0 } = this.#options;
    if (isRegularFile(entry) && (entry.size > maxBytes || entry.size < minBytes)) return false;
    if (oneFileSystem === true && isDirectory(entry) && entry.dev !== this.#device) return false;
    if (this.#caches.size === 0) return true;
    const key = keyOf(entry.path);
    const slash = key.lastIndexOf('/');
    if (key.slice(slash + 1) === CACHE_TAG) return true;
    return !this.#caches.has(slash === -1 ? '' : key.slice(0, slash));
  }
}

/** The root is `.` as an entry and nothing before a name. */
function keyOf(path: Uint8Array): string {
  const key = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
  return key === '.' ? '' : key;
}

/** Patterns that are anchored begin in their own folder. */
function rulesOf(file: Buffer, content: Buffer, folder: string): readonly FilterRule[] {
  const collected = new FilterRules();
  try {
    collected.excludeLines(content);
  } catch (error) {
    throw unusable(file, error instanceof EcsyncError ? error.message : String(error));
  }
  if (folder === '') return collected.rules;
  return collected.rules.map((rule) => {
    if (rule.pattern[0] !== SLASH) return rule;
    const isWild = /[*?[]/.test(Buffer.from(rule.pattern).toString('latin1') + folder);
    const prefix = isWild ? folder.replace(/[\\*?[]/g, '\\$&') : folder;
    return { ...rule, pattern: Buffer.concat([Buffer.from(`/${prefix}`, 'latin1'), rule.pattern]) };
  });
}

function unusable(file: Buffer, why: string): FileError {
  return new FileError(
    'ignore-file-unusable',
    `the rules in ${showPath(file)} do not count: ${why}`,
    {
      hint: 'It holds one pattern a line, as --exclude-from.',
    },
  );
}

/** The first bytes of a plain file; undefined when it is none or cannot be read. */
function readStart(file: Buffer, length: number): Buffer | undefined {
  let fd: number;
  try {
    // Windows has neither flag, and undefined counts as 0.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    if (!fstatSync(fd).isFile()) return undefined;
    const bytes = Buffer.alloc(Math.min(length, fstatSync(fd).size));
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}
