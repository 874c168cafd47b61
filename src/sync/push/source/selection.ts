/** Selects the part of the source that a push reads. */
import { UsageError } from '../../../errors.ts';
import { showPath } from '../../../tree/file-failure.ts';
import { Filter, type FilterRule } from '../../../tree/filter/filter.ts';
import type { LocalTreeOptions } from '../../../tree/local/local-tree.ts';
import { SourceLimits, type SourceLimitOptions } from '../../../tree/local/source-limits.ts';
import { bytesOf, isAtOrBelow, pathKey } from '../../../bytes/paths.ts';

/**
 * Selects the part of the source that a push reads, by the user's ordered rules and a list of
 * paths. Remembers excluded objects, because they are protected from deletion.
 */
export class Selection {
  readonly #excluded: Buffer[] = [];
  readonly #filter: Filter;
  readonly #within: readonly string[];
  readonly #limits: SourceLimits | undefined;

  /**
   * @param within - plaintext paths relative to the source, `/`-separated; empty: everything
   * @param limits - what else is left out
   * @throws {UsageError} `path-outside` — a path that leaves the source
   */
  constructor(
    rules: readonly FilterRule[],
    rootPath: Uint8Array,
    within: readonly (string | Uint8Array)[],
    limits?: SourceLimitOptions,
  ) {
    this.#limits = limits && new SourceLimits(limits);
    this.#filter = new Filter(rules, { rootPath });
    this.#within = within.map(insideSource).filter((path) => path !== '.');
  }

  /** Plaintext paths that a rule excluded from the tree that was read, topmost only. */
  get excluded(): readonly Uint8Array[] {
    return this.#excluded;
  }

  /** Latin-1 keys of the plaintext paths this push is limited to; empty: everything. */
  get within(): readonly string[] {
    return this.#within;
  }

  /** Whether an object is selected, by its name and the folders that it is in. */
  verdict(path: Uint8Array, isDirectory: boolean): 'include' | 'exclude' {
    return this.#reaches(path, isDirectory) ? this.#ruling(path, isDirectory) : 'exclude';
  }

  /** The same for the tree that is read. Remembers what a rule excludes there. */
  get filter(): Pick<Filter, 'verdict'> {
    return {
      verdict: (path, isDirectory) => {
        if (!this.#reaches(path, isDirectory)) return 'exclude';
        const ruling = this.#ruling(path, isDirectory);
        if (ruling === 'exclude') this.#excluded.push(Buffer.from(path));
        return ruling;
      },
    };
  }

  #ruling(path: Uint8Array, isDirectory: boolean): 'include' | 'exclude' {
    const rule = this.#filter.firstMatch(path, isDirectory)?.action;
    return rule ?? this.#limits?.verdict(path, isDirectory) ?? 'include';
  }

  /** Limits of the tree that is read, beside rules for names. Undefined: none. */
  get limits(): LocalTreeOptions['limits'] {
    const limits = this.#limits;
    return (
      limits && {
        enter: (directory, names, way) => limits.enter(directory, names, way),
        isClosed: (directory) => limits.isClosed(directory),
        admits: (entry) => {
          if (limits.admits(entry)) return true;
          this.#excluded.push(Buffer.from(entry.path));
          return false;
        },
      }
    );
  }

  /** Plaintext paths of mount points whose content is left out. */
  get mountPoints(): readonly Uint8Array[] {
    return this.#limits?.mountPoints ?? [];
  }

  /** Reports in one sentence what ignore files of other users have left out. */
  reportForeignRules(tell: (message: string) => void): void {
    const [[file] = [], ...others] = this.#limits?.foreignRules ?? [];
    if (file === undefined) return;
    const counts = [...(this.#limits?.foreignRules.values() ?? [])];
    const count = counts.reduce((sum, one) => sum + one, 0);
    const more = others.length === 0 ? '' : ` and ${others.length} more like it`;
    const objects = count === 1 ? 'object was' : 'objects were';
    tell(`${count} ${objects} left out by rules of other users, in ${showPath(file)}${more}`);
  }

  /** Whether a path is selected, inside a selected one, or a folder on the way to one. */
  #reaches(path: Uint8Array, isDirectory: boolean): boolean {
    if (this.#within.length === 0) return true;
    const key = pathKey(path);
    return this.#within.some(
      (wanted) => isAtOrBelow(key, wanted) || (isDirectory && isAtOrBelow(wanted, key)),
    );
  }
}

function insideSource(path: string | Uint8Array): string {
  const parts = pathKey(bytesOf(path))
    .split('/')
    .filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    const shown = showPath(bytesOf(path));
    throw new UsageError('path-outside', `${shown}: lies outside the vault's folder`, {
      hint: 'Name paths inside the folder that is being pushed.',
    });
  }
  return parts.length === 0 ? '.' : parts.join('/');
}
