/** Leaves objects out of a walk by file system, size, age, or files beside them. */
import { closeSync, openSync, readSync, fstatSync, constants } from 'node:fs';
import { withoutUtf8Mark } from '../../bytes/byte-order-mark.ts';
import { EcsyncError, FileError } from '../../errors.ts';
import { isTrustedOwner, isWindows } from '../../platform.ts';
import { onDisk } from './disk-path.ts';
import { isDirectory, isRegularFile } from '../entry.ts';
import { showPath } from '../file-failure.ts';
import { Filter, type FilterRule } from '../filter/filter.ts';
import { FilterRules } from '../filter/filter-syntax.ts';
import type { LocalEntry } from './local-entry.ts';
import { pathKey } from '../../bytes/paths.ts';

/** The rules of one folder's ignore file. */
interface FolderRules {
  readonly filter: Filter;
  readonly clears: boolean;
  /** The ignore file, when its owner is neither this user nor root. */
  readonly foreignFile: Uint8Array | undefined;
}

/** Rules that leave objects out by more than their names. */
export interface SourceLimitOptions {
  /** Apply the rules in files of this name, each for its folder and everything below. */
  readonly ignoreFileName?: string;
  /** Leave out the content of folders with a `CACHEDIR.TAG`. */
  readonly excludeCaches?: boolean;
  /**
   * Leave out the content of folders with a file of one of these names, whatever the file holds.
   */
  readonly folderTags?: readonly Uint8Array[];
  /** Leave out the content of folders on another file system. */
  readonly oneFileSystem?: boolean;
  /** Limits of the size of regular files. */
  readonly maxBytes?: number;
  readonly minBytes?: number;
  /** Limits of the seconds from a regular file's mtime to the start of the walk. */
  readonly maxAgeSec?: number;
  readonly minAgeSec?: number;
}

const CACHE_TAG = 'CACHEDIR.TAG';
/** @see https://bford.info/cachedir/ */
const CACHE_SIGNATURE = 'Signature: 8a477f597d28d172789f06886806bc55';
const IGNORE_FILE_LENGTH_MAX = 1024 * 1024;
const SLASH = 0x2f;
const NSEC_PER_SEC = 1e9;
/** A lone `!` clears the rules of the folders above, too. */
const CLEARS = /(?:^|[\r\n])!(?:[\r\n]|$)/;

/**
 * Leaves objects out of one walk over a local folder by more than their names. Call {@link enter}
 * for each folder before asking about the objects in it.
 */
export class SourceLimits {
  readonly #options: SourceLimitOptions;
  /** Rules of ignore files, by the Latin-1 path of their folder. */
  readonly #rules = new Map<string, FolderRules>();
  /** Latin-1 paths of tagged folders, and the name of the tag, which is not left out. */
  readonly #tagged = new Map<string, string>();
  readonly #nowSec = Date.now() / 1000;
  /** Paths of folders whose content was left out because another file system is mounted there. */
  readonly mountPoints: Uint8Array[] = [];
  readonly #closed = new Set<string>();
  /** Ignore files of other users, each with the number of objects that it left out. */
  readonly foreignRules = new Map<Uint8Array, number>();
  readonly #folderTags: readonly string[];
  #device: number | undefined;

  constructor(options: SourceLimitOptions) {
    this.#options = options;
    this.#folderTags = (options.folderTags ?? []).map((tag) => Buffer.from(tag).toString('latin1'));
  }

  /**
   * Reads the rules and tags of a folder that was listed.
   *
   * @param names - names of its objects, one Latin-1 character a byte
   * @param diskPath - path of the folder
   * @throws {FileError} `ignore-file-unusable` — its rules do not apply then
   */
  enter(directory: LocalEntry, names: readonly string[], diskPath: Buffer): void {
    const { ignoreFileName, excludeCaches } = this.#options;
    this.#device ??= directory.dev;
    const has = (name: string): boolean => names.includes(Buffer.from(name).toString('latin1'));
    const folder = keyOf(directory.path);
    if (excludeCaches === true && has(CACHE_TAG)) {
      const tag = readStart(onDisk(diskPath, Buffer.from(CACHE_TAG)), CACHE_SIGNATURE.length);
      if (tag?.bytes.toString('latin1') === CACHE_SIGNATURE) this.#tagged.set(folder, CACHE_TAG);
    }
    for (const tag of this.#folderTags) if (names.includes(tag)) this.#tagged.set(folder, tag);
    if (ignoreFileName === undefined || !has(ignoreFileName)) return;
    const read = readStart(
      onDisk(diskPath, Buffer.from(ignoreFileName)),
      IGNORE_FILE_LENGTH_MAX + 1,
    );
    if (read === undefined) return; // Not a regular file, or unreadable: sending it reports that.
    const content = read.bytes;
    const shownFolder = Buffer.from(folder === '' ? '' : `${folder}/`, 'latin1');
    const file = Buffer.concat([shownFolder, Buffer.from(ignoreFileName)]);
    if (content.length > IGNORE_FILE_LENGTH_MAX) throw unusable(file, 'it is larger than 1 MiB');
    const filter = new Filter(rulesOf(file, content, folder));
    this.#rules.set(folder, {
      filter,
      clears: CLEARS.test(Buffer.from(withoutUtf8Mark(content)).toString('latin1')),
      foreignFile: isWindows || isTrustedOwner(read.uid) ? undefined : file,
    });
  }

  /** The verdict of the ignore files on a path: the deepest one with a matching rule decides. */
  verdict(path: Uint8Array, isFolder: boolean): 'include' | 'exclude' | undefined {
    if (this.#rules.size === 0) return undefined;
    const key = keyOf(path);
    for (let at = key.lastIndexOf('/'); ; at = at === -1 ? -2 : key.lastIndexOf('/', at - 1)) {
      if (at === -2) return undefined;
      const folder = at === -1 ? '' : key.slice(0, at);
      const rules = this.#rules.get(folder);
      const rule = rules?.filter.firstMatch(path, isFolder);
      if (rule !== undefined) {
        const { foreignFile } = rules ?? {};
        if (rule.action === 'exclude' && foreignFile !== undefined) {
          this.foreignRules.set(foreignFile, (this.foreignRules.get(foreignFile) ?? 0) + 1);
        }
        return rule.action;
      }
      if (rules?.clears === true) return undefined;
    }
  }

  /** Whether a folder that is not left out counts as empty. */
  isClosed(directory: LocalEntry): boolean {
    return this.#closed.size > 0 && this.#closed.has(keyOf(directory.path));
  }

  /** Whether an object is not left out by its own attributes or the tag of its folder. */
  admits(entry: LocalEntry): boolean {
    const { oneFileSystem, maxBytes = Infinity, minBytes = 0 } = this.#options;
    const { maxAgeSec = Infinity, minAgeSec = -Infinity } = this.#options;
    if (isRegularFile(entry)) {
      if (entry.size > maxBytes || entry.size < minBytes) return false;
      const ageSec = this.#nowSec - entry.mtimeSec - entry.mtimeNsec / NSEC_PER_SEC;
      if (ageSec > maxAgeSec || ageSec < minAgeSec) return false;
    }
    if (oneFileSystem === true && isDirectory(entry) && entry.dev !== this.#device) {
      this.mountPoints.push(entry.path);
      this.#closed.add(keyOf(entry.path));
    }
    if (this.#tagged.size === 0) return true;
    const key = keyOf(entry.path);
    const slash = key.lastIndexOf('/');
    const tag = this.#tagged.get(slash === -1 ? '' : key.slice(0, slash));
    return tag === undefined || key.slice(slash + 1) === tag;
  }
}

/** The key of a folder: empty for the root, whose path is `.`. */
function keyOf(path: Uint8Array): string {
  const key = pathKey(path);
  return key === '.' ? '' : key;
}

/** Reads the rules of an ignore file. Anchored patterns start at the file's own folder. */
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
    `the rules in ${showPath(file)} do not apply: ${why}`,
    {
      hint: 'The file must hold one pattern a line, as for --exclude-from.',
    },
  );
}

/** The first bytes of a regular file; undefined for anything else, or when it cannot be read. */
function readStart(
  file: Buffer,
  length: number,
): { readonly bytes: Buffer; readonly uid: number } | undefined {
  let fd: number;
  try {
    // Windows has neither flag; undefined counts as 0.
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) return undefined;
    const bytes = Buffer.alloc(Math.min(length, stats.size));
    return { bytes: bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0)), uid: stats.uid };
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}
